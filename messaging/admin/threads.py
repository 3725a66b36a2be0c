"""The page of one conversation: read, answered, and taken for answered. Every act is a POST of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from messaging.admin.bubbles import days_of
from messaging.admin.composing import NameForm, ReplyForm, counting, fresh_key, place_in
from messaging.admin.numbers import KEEPS_CONTACTS
from messaging.contacts import upsert_contact
from messaging.conversation import book, replies, thread
from messaging.conversation.models import Conversation
from messaging.models import Contact, InboundMessage, Message, StaffTask
from messaging.phone_numbers import mask, spaced
from messaging.retention import KEPT
from voxanne.staff import people
from voxanne.staff.audit import record_act
from voxanne.staff.clinic_admin import ClinicAdmin
from voxanne.staff.clock import on_the_clinics_clock
from voxanne.staff.columns import page_of
from voxanne.tenancy.models import User
from voxanne.tenancy.scope import org_scope

# Pages of one conversation beside the one that shows it.
ACTS = ("texts", "reply", "seen", "settle", "make_contact")
MAY_REPLY = "messaging.change_conversation"
UNREADABLE = "Nothing was sent: that could not be read. Press Send once more."
MAY_ADD_CONTACT = "messaging.add_contact"


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation that the person may look at. ``id`` is how its address names it: its own id, or that of the
    contact, with whom there may have been no word yet; ``row`` is then not in the database."""

    id: str
    row: Conversation
    contact: Contact | None

    def address(self, page: str) -> str:
        return reverse(f"admin:messaging_conversation_{page}", args=(self.id,))


class ThreadPages(ClinicAdmin):
    """What can be done with one conversation."""

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(getattr(self, f"{name}_view")),
                name=f"messaging_conversation_{name}",
            )
            for name in ACTS
        ]
        return [*own, *super().get_urls()]

    # --- Reading -----------------------------------------------------------------------------------

    @on_the_clinics_clock
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return self._page(request, self.thread(request, object_id))

    @on_the_clinics_clock
    def texts_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Some of the texts alone, for the page that is open: the newest, those since a place, or those before one."""
        found = self.thread(request, object_id)
        context = {"thread": found, **self._texts(request, found)}
        return TemplateResponse(
            request, "messaging/texts.html", context, headers={"Cache-Control": "no-store"}
        )

    def thread(self, request: HttpRequest, object_id: str) -> Thread:
        """The conversation of this id, or the one with the contact of this id. Raises Http404."""
        try:
            row: Conversation = self.row(request, object_id)
            return Thread(
                str(row.pk), row, Contact.objects.filter(org_id=row.org_id, phone=row.number).first()
            )
        except Http404:
            contact: Contact = admin.site.get_model_admin(Contact).row(request, object_id)  # type: ignore[attr-defined]
        if not contact.phone or not people.holds(request, self.permission("view"), contact):
            raise Http404("There is no number to text.")
        known = self.get_queryset(request).filter(org_id=contact.org_id, number=contact.phone).first()
        return Thread(str(contact.pk), known or Conversation(org=contact.org, number=contact.phone), contact)

    def _texts(self, request: HttpRequest, found: Thread) -> dict[str, Any]:
        org_id, number = found.row.org_id, found.row.number
        earlier, from_here = (place_in(request.GET.get(name, "")) for name in ("before", "since"))
        if earlier is not None:
            page = thread.before(org_id, number, earlier)
        elif from_here is not None:
            page = thread.since(org_id, number, from_here)
        else:
            page = thread.newest(org_id, number)
        oldest_of_ours = timezone.now() - KEPT
        came = [entry.place for entry in page.entries if entry.received is not None]
        answer = replies.newest_answer(org_id, number)
        writes = people.holds(request, MAY_REPLY, found.row)
        return {
            "cannot": replies.why_nothing_can_be_sent(org_id, number) if writes else "",
            "shown": answer.pk if answer else "",
            "page": page,
            "days": days_of(page, found.row.org, people.person(request)),
            "until": (came[-1] if came else thread.newest_received(org_id, number)) or "",
            "is_earlier": earlier is not None,
            "begins": from_here is None
            and not page.more
            and page.first is not None
            and page.first.at < oldest_of_ours,
            "days_kept": KEPT.days,
        }

    def _page(self, request: HttpRequest, found: Thread, refusal: str = "", typed: str = "") -> HttpResponse:
        row = found.row
        may_reply = people.holds(request, MAY_REPLY, row)
        rings = people.holds(request, KEEPS_CONTACTS, row)
        number = spaced(row.number) if rings else mask(row.number)
        name = found.contact.name if found.contact else ""
        context = {
            **self.admin_site.each_context(request),
            **self._texts(request, found),
            "title": name or number,
            "opts": self.opts,
            "thread": found,
            **{f"thread_{page}": found.address(page) for page in ("change", *ACTS)},
            "name": name,
            "number": number,
            "rings": row.number if rings else "",
            "clinic": row.org if people.sole_clinic(request) is None else None,
            "contact_url": page_of("messaging_contact", found.contact.pk) if found.contact else "",
            "may_reply": may_reply,
            "may_add_contact": found.contact is None and people.holds(request, MAY_ADD_CONTACT, row),
            "key": fresh_key(),
            "counting": counting(row.org_id),
            "refusal": refusal,
            "typed": typed,
            "back": reverse("admin:messaging_conversation_changelist"),
        }
        return TemplateResponse(request, "messaging/thread.html", context)

    # --- Acting ------------------------------------------------------------------------------------

    @on_the_clinics_clock
    def reply_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Sends what was typed; what is refused stays in the box, with the reason."""
        found, who = self._for_acting(request, object_id, MAY_REPLY)
        if request.method != "POST":
            return HttpResponseRedirect(found.address("change"))
        form = ReplyForm(request.POST)
        if not form.is_valid():
            return self._page(request, found, UNREADABLE, form.data.get("body", ""))
        given = form.cleaned_data
        try:
            sent = replies.reply(
                found.row.org_id,
                number=found.row.number,
                typed=given["body"],
                key=given["key"],
                until=_moment(given["until"]),
                answer_shown=given["shown"],
                author=who,
            )
        except replies.ReplyRefused as refused:
            return self._page(request, found, str(refused), given["body"])
        if sent.again:
            messages.info(request, "It was sent the first time; it is not sent twice.")
        return HttpResponseRedirect(found.address("change"))

    def seen_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The open page tells up to which text somebody looked."""
        found, _ = self._for_acting(request, object_id, MAY_REPLY)
        if request.method != "POST":
            return HttpResponseRedirect(found.address("change"))
        until = place_in(request.POST.get("until", ""))
        if until is not None:
            book.seen(found.row.org_id, found.row.number, until.at)
        return HttpResponse(status=204)

    def settle_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Takes what came in for answered: it needs no answer, or got one by telephone."""
        found, who = self._for_acting(request, object_id, MAY_REPLY)
        if request.method == "POST" and not found.row._state.adding:
            until = place_in(request.POST.get("until", ""))
            with org_scope(found.row.org_id):
                row = book.begun(found.row.org_id, found.row.number)
                book.answered(row, _moment(until), who, book.NEEDS_NO_ANSWER)
            record_act(request, row, "conversation.settle")
            messages.success(request, "It no longer waits for an answer.")
        return HttpResponseRedirect(found.address("change"))

    def make_contact_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Makes the number a contact, and the texts with it that contact's."""
        found, _ = self._for_acting(request, object_id, MAY_ADD_CONTACT)
        form = NameForm(request.POST)
        if request.method == "POST" and found.contact is None:
            if form.is_valid():
                contact = _make_contact(found.row, form.cleaned_data["name"])
                record_act(request, contact, "contact.add")
                messages.success(request, "The contact is made.")
            else:
                messages.warning(request, "Write the person's name first, in at most 120 characters.")
        return HttpResponseRedirect(found.address("change"))

    def _for_acting(self, request: HttpRequest, object_id: str, permission: str) -> tuple[Thread, User]:
        found, who = self.thread(request, object_id), people.person(request)
        if who is None or not people.holds(request, permission, found.row):
            raise PermissionDenied
        return found, who


def _moment(place: thread.Place | None) -> datetime | None:
    """Up to when somebody had read; the beginning of time where nothing had come in."""
    return place.at if place is not None else thread.EPOCH


def _make_contact(row: Conversation, name: str) -> Contact:
    contact_id = upsert_contact(row.org_id, phone=row.number, name=name)
    theirs = {"org_id": row.org_id, "contact": None}
    InboundMessage.objects.filter(**theirs, sender=row.number).update(contact_id=contact_id)
    Message.objects.filter(**theirs, recipient=row.number).update(contact_id=contact_id)
    StaffTask.objects.filter(**theirs, from_number=row.number).update(contact_id=contact_id)
    contact: Contact = Contact.objects.get(pk=contact_id)
    return contact
