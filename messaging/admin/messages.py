"""Texts and their fate. Nobody writes, edits or deletes one here; dead letters can be redriven or discarded."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from messaging.admin.bulk_fates import OfBulkAct
from messaging.admin.dead_letters import MAY_REDRIVE, ROW_BUTTONS, DeadLetterActs, is_dead, open_dead_letters
from messaging.admin.numbers import whole, whole_or_masked
from messaging.admin.provider_copies import answer_in_words, outcome_in_words, request_in_words
from messaging.admin.reasons import reason
from messaging.admin.subjects import link_to_subject
from messaging.admin.unknown import ROW_BUTTONS as BUTTONS_OF_UNKNOWN
from messaging.admin.unknown import UnknownActs, looked_up
from messaging.channels import Channel
from messaging.conversation.media import media_of
from messaging.models import DeliveryAttempt, InboundMessage, Message
from messaging.phone_numbers import mask
from messaging.states import MessageState
from voxanne.staff import people
from voxanne.staff.clinic_admin import ClinicAdmin, ReadOnly, ReadOnlyTabular
from voxanne.staff.columns import (
    NOTHING,
    age,
    badge,
    clinic_time,
    clock,
    link,
    link_to,
    prose,
    shown,
)
from voxanne.staff.filters import OfChoices, OfClinic, OfNumber, WholeDays
from voxanne.staff.refusal import who_may
from voxanne.staff.rows import buttons
from voxanne.staff.start import Figure, add_figure, counted

STATE_TONES = {
    "queued": "info",
    "sending": "info",
    "unknown": "warning",
    "sent": "primary",
    "delivered": "success",
    "dead_letter": "danger",
    "suppressed": "",
    "expired": "",
    "canceled": "",
}


CHANNEL_TONES = {"whatsapp": "success"}

FITS = {button.act: button.fits for button in (*ROW_BUTTONS, *BUTTONS_OF_UNKNOWN)}


class DeliveryAttemptInline(ReadOnlyTabular):
    model = DeliveryAttempt
    verbose_name_plural = "tries"
    fields = ("started", "took", "channel", "outcome_told", "asked", "answered", "error")
    readonly_fields = fields

    @shown("Started")
    def started(self, attempt: DeliveryAttempt) -> str:
        return clinic_time(attempt, attempt.started_at)

    @shown("Took")
    def took(self, attempt: DeliveryAttempt) -> str:
        if attempt.finished_at is None:
            return NOTHING
        return f"{(attempt.finished_at - attempt.started_at).total_seconds() * 1000:.0f} ms"

    @shown("Outcome")
    def outcome_told(self, attempt: DeliveryAttempt) -> str:
        return outcome_in_words(attempt)

    @shown("What was asked")
    def asked(self, attempt: DeliveryAttempt) -> str:
        return request_in_words(attempt)

    @shown("What the provider answered")
    def answered(self, attempt: DeliveryAttempt) -> str:
        return answer_in_words(attempt)


def _to_whom(message: Message) -> str:
    name = f"{message.contact.name}, " if message.contact and message.contact.name else ""
    return f"{name}{mask(message.recipient)}"


@admin.register(Message)
class MessageAdmin(DeadLetterActs, UnknownActs, ReadOnly, ClinicAdmin):
    list_display: Any = (
        clock("Written", "created_at"),
        "kind",
        "to_whom",
        "channel_badge",
        "state_badge",
        "why",
        age("Age", "created_at"),
    )
    list_select_related = ("org", "contact")
    list_filter = (
        ("org", OfClinic),
        ("state", OfChoices),
        ("kind", OfChoices),
        ("channel", OfChoices),
        ("error_code", OfNumber),
        ("created_at", WholeDays),
        OfBulkAct,
    )
    search_fields = ("contact__name", "recipient")
    masked_fields = ("recipient",)
    search_help_text = "A contact's name, or a number or its last digits"
    ordering = ("-created_at",)
    actions = ("redrive_selected", "discard_selected")
    actions_detail = ("redrive", "discard", "mark_sent", "send_anyway")
    inlines = (DeliveryAttemptInline,)
    readonly_fields = (
        "state_badge",
        "channel_badge",
        "recipient_whole",
        "recipient_masked",
        "to_contact",
        "to_subject",
        "said",
        "size",
        "written_by",
        "why",
        "who_can",
        "being_looked_up",
        "written_at",
        "turn_told",
        "sent_at_told",
        "delivered_at_told",
        "receipt_asked_told",
        "dead_lettered_at_told",
        "expires_at_told",
    )

    def sections(self, request: HttpRequest, obj: Any = None) -> Any:
        return [
            (
                "Text",
                {
                    "fields": [
                        "kind",
                        "state_badge",
                        "why",
                        *(["who_can"] if obj and is_dead(obj) and _told_who_can(request, obj) else []),
                        *(["being_looked_up"] if obj and looked_up(obj) else []),
                        "channel_badge",
                        whole_or_masked(request, obj, "recipient"),
                        "to_contact",
                        "to_subject",
                        "said",
                        "size",
                        "written_by",
                    ]
                },
            ),
            (
                "When",
                {
                    "fields": [
                        "written_at",
                        "turn_told",
                        "sent_at_told",
                        "delivered_at_told",
                        "receipt_asked_told",
                        "dead_lettered_at_told",
                        "expires_at_told",
                    ]
                },
            ),
            (
                "At the provider",
                {
                    "fields": [
                        "attempts",
                        "error_code",
                        "provider_status",
                        "provider_sid",
                        "sender",
                        "dedupe_key",
                    ]
                },
            ),
        ]

    def get_list_display(self, request: HttpRequest) -> Any:
        shown_buttons = (*ROW_BUTTONS, *BUTTONS_OF_UNKNOWN)
        return [*super().get_list_display(request), buttons(request, "messaging_message", shown_buttons)]

    def in_a_line(self, row: Message) -> str:
        """To whom, and why it did not arrive."""
        return f"{_to_whom(row)}: {reason(row)}"

    def asked_about(self, row: Message) -> str:
        return f"To {_to_whom(row)}, from {row.org}."

    def fits(self, act: str, row: Message) -> bool:
        """Only a dead letter can be redriven or discarded, only a text of unknown fate decided about."""
        return FITS[act](row)

    recipient_whole = whole("To", "recipient")
    state_badge = badge("State", "state", STATE_TONES)
    channel_badge = badge("By", "channel", CHANNEL_TONES)

    @shown("To")
    def to_whom(self, message: Message) -> SafeString | str:
        name = message.contact.name if message.contact else ""
        if not name:
            return mask(message.recipient)
        told = '<div class="staff-cell"><span class="staff-name">{}</span><br><span class="staff-quiet">{}</span></div>'
        return format_html(told, name, mask(message.recipient))

    @shown("To")
    def recipient_masked(self, message: Message) -> str:
        return mask(message.recipient)

    @shown("Contact")
    def to_contact(self, message: Message) -> SafeString | str:
        return link_to(message.contact)

    @shown("About")
    def to_subject(self, message: Message) -> SafeString | str:
        return link_to_subject(message.about)

    @shown("Words")
    def said(self, message: Message) -> SafeString | str:
        return prose(message.body)

    @shown("Size")
    def size(self, message: Message) -> str:
        if message.channel == Channel.WHATSAPP:
            return "Not counted by WhatsApp"
        return f"{message.segments} segment{'' if message.segments == 1 else 's'}, {message.encoding}"

    @shown("Written by")
    def written_by(self, message: Message) -> str:
        return str(message.author) if message.author else "Voxanne"

    @shown("What happened")
    def why(self, message: Message) -> str:
        return reason(message)

    @shown("Who can send it again")
    def who_can(self, message: Message) -> str:
        return str(getattr(message, "who_can", NOTHING))

    @shown("Being looked up")
    def being_looked_up(self, message: Message) -> str:
        return looked_up(message)

    @shown("Written")
    def written_at(self, message: Message) -> str:
        return clinic_time(message, message.created_at)

    @shown("Its turn to be sent")
    def turn_told(self, message: Message) -> str:
        return clinic_time(message, message.slot_at) if message.state == MessageState.QUEUED else NOTHING

    @shown("Sent")
    def sent_at_told(self, message: Message) -> str:
        return clinic_time(message, message.sent_at)

    @shown("Delivered")
    def delivered_at_told(self, message: Message) -> str:
        return clinic_time(message, message.delivered_at)

    @shown("Twilio asked for its fate")
    def receipt_asked_told(self, message: Message) -> str:
        return clinic_time(message, message.receipt_asked_at)

    @shown("Given up")
    def dead_lettered_at_told(self, message: Message) -> str:
        return clinic_time(message, message.dead_lettered_at)

    @shown("Useful until")
    def expires_at_told(self, message: Message) -> str:
        return clinic_time(message, message.expires_at)


@admin.register(InboundMessage)
class InboundMessageAdmin(ReadOnly, ClinicAdmin):
    list_display = (
        clock("Received", "created_at"),
        "sender_masked",
        "channel_badge",
        "said_in_short",
        "keyword",
    )
    list_select_related = ("org", "contact")
    list_filter = (("org", OfClinic), ("channel", OfChoices), ("created_at", WholeDays))
    search_fields = ("contact__name", "sender", "=keyword")
    masked_fields = ("sender",)
    search_help_text = "A contact's name, a number or its last digits, or STOP"
    ordering = ("-created_at",)
    readonly_fields = ("sender_whole", "sender_masked", "channel_badge", "to_contact", "said", "links")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (
            "created_at",
            "received_at",
            whole_or_masked(request, obj, "sender"),
            "profile_name",
            "to_contact",
            "channel_badge",
            "recipient",
            "said",
            "button",
            "links",
            "keyword",
            "provider_sid",
        )

    sender_whole = whole("From", "sender")
    channel_badge = badge("By", "channel", CHANNEL_TONES)

    @shown("From")
    def sender_masked(self, text: InboundMessage) -> str:
        return mask(text.sender)

    @shown("Contact")
    def to_contact(self, text: InboundMessage) -> SafeString | str:
        return link_to(text.contact)

    @shown("Pictures and files")
    def links(self, text: InboundMessage) -> SafeString | str:
        each = ((link(medium.url, f"{medium.name} ({medium.type})"),) for medium in media_of(text.media))
        return format_html_join(", ", "{}", each) or NOTHING

    @shown("Words")
    def said_in_short(self, text: InboundMessage) -> str:
        return text.body if len(text.body) <= 60 else f"{text.body[:59]}…"

    @shown("Words")
    def said(self, text: InboundMessage) -> SafeString | str:
        return prose(text.body)


def _told_who_can(request: HttpRequest, message: Any) -> bool:
    """Writes on the row who may act on it, for somebody who may not; False for somebody who may."""
    if people.holds(request, MAY_REDRIVE, message):
        return False
    who = ", ".join(who_may(MAY_REDRIVE, (message.org_id,))) or "Voxanne's support"
    message.who_can = f"Sending it again, or discarding it, is done by {who}."
    return True


def texts_needing_attention(request: HttpRequest) -> Figure:
    number = counted(open_dead_letters())
    url = reverse("admin:messaging_deadletter_changelist")
    note = "not delivered, waiting for a person" if number != "0" else "none was left undelivered"
    return Figure("Texts needing attention", number, note, url, alarming=number != "0")


add_figure(30, texts_needing_attention)
