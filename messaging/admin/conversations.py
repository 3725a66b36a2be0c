"""Who texts with the clinic: unanswered ones first, the longest waiting on top. And what it chose about answering."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin import EmptyFieldListFilter
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.db.models.functions import JSONObject
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from messaging.admin.threads import ThreadPages
from messaging.conversation.models import Conversation, ReplySettings
from messaging.conversation.thread import LEFT
from messaging.models import Contact, InboundMessage, Message
from messaging.phone_numbers import mask
from voxanne.staff.clinic_admin import ClinicAdmin, ReadOnly
from voxanne.staff.columns import clinic_time, label, short_span, shown
from voxanne.staff.filters import OfClinic
from voxanne.staff.start import Figure, add_figure, counted

MOST_COUNTED = 99
LONGEST_START = 90


@admin.register(Conversation)
class ConversationAdmin(ReadOnly, ThreadPages):
    list_display = ("who", "newest_text", "when", "waits")
    list_filter = (("org", OfClinic), ("waiting_since", EmptyFieldListFilter))
    search_fields = ("contact_name", "number")
    masked_fields = ("number",)
    search_help_text = "A contact's name, or a number or its last digits"
    ordering = (F("waiting_since").asc(nulls_last=True), "-newest_at", "pk")

    class Media:
        css = {"all": ("messaging/conversation.css",)}
        js = ("messaging/conversation_list.js",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the contact's name, and the newest text of either side."""
        rows: QuerySet[Any] = super().get_queryset(request)
        contacts = Contact.objects.filter(org_id=OuterRef("org_id"), phone=OuterRef("number")).values("name")
        theirs = InboundMessage.objects.filter(org_id=OuterRef("org_id"), sender=OuterRef("number"))
        ours = Message.objects.filter(org_id=OuterRef("org_id"), recipient=OuterRef("number"))
        listed: QuerySet[Any] = rows.annotate(
            contact_name=Subquery(contacts[:1]),
            came=Subquery(
                theirs.order_by("-created_at").values(
                    told=JSONObject(at="created_at", body="body", media="media")
                )[:1]
            ),
            went=Subquery(
                ours.alias(left=LEFT).order_by("-left").values(told=JSONObject(at=LEFT, body="body"))[:1]
            ),
        )
        return listed

    @shown("Who")
    def who(self, row: Any) -> SafeString:
        new = label(f"{row.unread} new", "info") if row.unread else ""
        number = mask(row.number)
        if not row.contact_name:
            return format_html("{} {}", number, new)
        return format_html('{} {}<br><span class="staff-quiet">{}</span>', row.contact_name, new, number)

    @shown("Newest text")
    def newest_text(self, row: Any) -> SafeString | str:
        told, ours = _newest(row)
        if told is None:
            return "–"
        words = " ".join(str(told["body"]).split()) or "A picture or file"
        start = words if len(words) <= LONGEST_START else f"{words[: LONGEST_START - 1]}…"
        return format_html('<span class="staff-quiet">We:</span> {}', start) if ours else start

    @shown("When", ordering="newest_at")
    def when(self, row: Any) -> str:
        told, _ = _newest(row)
        return clinic_time(row, _at(told) if told else row.newest_at)

    @shown("Answer", ordering="waiting_since")
    def waits(self, row: Any) -> SafeString | str:
        if row.waiting_since is None:
            return "–"
        return label(f"Waits {short_span(timezone.now() - row.waiting_since)}", "warning")


def _newest(row: Any) -> tuple[dict[str, Any] | None, bool]:
    """The newest text of the row, and whether it is ours."""
    if row.came and row.went:
        return (row.went, True) if _at(row.went) > _at(row.came) else (row.came, False)
    return (row.came, False) if row.came else (row.went, True)


def _at(told: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(told["at"])


@admin.register(ReplySettings)
class ReplySettingsAdmin(ClinicAdmin):
    list_display = ("__str__", "auto_reply_hours", "segment_price", "currency")
    list_filter = (("org", OfClinic),)
    ordering = ("org__name",)
    fields = ("auto_reply", "auto_reply_hours", "segment_price", "currency")


def badge_of_unread(request: HttpRequest) -> str:
    """In how many conversations there is something new, for the sidebar; blank where there is nothing."""
    number = Conversation.objects.filter(unread__gt=0).order_by()[: MOST_COUNTED + 1].count()
    if not number:
        return ""
    return f"{MOST_COUNTED}+" if number > MOST_COUNTED else str(number)


def texts_to_answer(request: HttpRequest) -> Figure:
    waiting = Conversation.objects.filter(waiting_since__isnull=False)
    oldest = waiting.order_by("waiting_since").values_list("waiting_since", flat=True).first()
    note = f"the longest for {short_span(timezone.now() - oldest)}" if oldest else "nobody waits"
    url = f"{reverse('admin:messaging_conversation_changelist')}?waiting_since__isempty=0"
    return Figure("Texts to answer", counted(waiting), note, url)


add_figure(26, texts_to_answer)
