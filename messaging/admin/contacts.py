"""Contacts and who asked not to be texted."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from messaging.admin.numbers import KEEPS_CONTACTS, clean_number, whole, whole_or_masked
from messaging.channels import Channel, parted
from messaging.contacts import note_consent
from messaging.manners import consent
from messaging.models import Contact, OptOut, SenderAccount
from messaging.phone_numbers import mask
from messaging.states import ConsentSource
from voxanne.staff import people
from voxanne.staff.asking import Told, WithReason, asks_about_row
from voxanne.staff.audit import record_act
from voxanne.staff.clinic_admin import ClinicAdmin, ReadOnly
from voxanne.staff.columns import NOTHING, clinic_time, clock, label, shown
from voxanne.staff.filters import OfClinic, WholeDays
from voxanne.staff.forms import ClinicForm
from voxanne.tenancy.models import Organization

OF_WHATSAPP = ("whatsapp_consent_source", "whatsapp_consent_at")
MAY_RECORD = "messaging.record_optout"
SOURCES = dict(ConsentSource.choices)
HOW = {
    consent.KEYWORD: "by text",
    consent.CARRIER: "at the carrier",
    consent.STAFF: "told to staff",
    consent.CARRIED_OVER: "before your number changed",
}


def wish_of(contact: Contact) -> consent.Wish | None:
    """What the person last said of texts."""
    sender = consent.sender_of(contact.org_id)
    if sender is None or not contact.phone:
        return None
    return consent.newest_wish(contact.org_id, sender=sender, recipient=contact.phone)


def takes_texts(contact: Contact) -> bool:
    wish = wish_of(contact)
    return wish is None or not wish.opted_out


# How an opt-out came to us.
HEARD = {
    consent.KEYWORD: "By a text, such as STOP",
    consent.CARRIER: "Told by the carrier",
    consent.STAFF: "Entered by staff",
    consent.CARRIED_OVER: "Before the clinic's number changed",
}


HEARD_AGAIN = "By a text, such as START"
NO_WHATSAPP_YET = "It has no effect yet: the clinic's WhatsApp is off, so everything goes by text."


def uses_whatsapp(org_id: Any) -> bool:
    """Whether the clinic's texts may go by WhatsApp now. Inside a scope that holds it."""
    on = SenderAccount.objects.filter(org_id=org_id, whatsapp_on=True, whatsapp_paused_reason="")
    return on.exists()


class ContactForm(ClinicForm):
    """A number is read in the clinic's country and kept as E.164, so that one person is one contact."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        channel = self.fields.get("preferred_channel")
        if channel is not None and self.instance.org_id and not uses_whatsapp(self.instance.org_id):
            channel.help_text = (
                f"{channel.help_text} WhatsApp has no effect yet: the clinic's WhatsApp is off."
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        clinic: Organization | None = cleaned.get("org") or getattr(self.instance, "org", None)
        if "phone" in cleaned and clinic is not None:
            try:
                cleaned["phone"] = clean_number(cleaned["phone"], clinic.country)
            except forms.ValidationError as error:
                self.add_error("phone", error)
        if not cleaned.get("phone") and not cleaned.get("email") and not self.errors:
            self.add_error("phone", "A phone number or an e-mail address is needed.")
        cleaned["email"] = str(cleaned.get("email") or "").strip().lower()
        self._note_consent(cleaned)
        return cleaned

    def _note_consent(self, cleaned: dict[str, Any]) -> None:
        """Whoever is set to WhatsApp here told staff so."""
        if (
            "preferred_channel" not in self.changed_data
            or cleaned.get("preferred_channel") != Channel.WHATSAPP
        ):
            return
        self.instance.whatsapp_consent_source, self.instance.whatsapp_consent_at = (
            "told staff",
            timezone.now(),
        )
        self.derived = ("whatsapp_consent_source", "whatsapp_consent_at")


@admin.register(Contact)
class ContactAdmin(ClinicAdmin):
    form = ContactForm
    list_display = ("name_or_not", "phone_masked", "language", clock("Known since", "created_at"))
    list_filter = (("org", OfClinic), ("created_at", WholeDays))
    search_fields = ("name", "phone", "email")
    masked_fields = ("phone", "email")
    search_help_text = "Name, e-mail address, or the last digits of a number"
    ordering = ("name", "pk")
    actions_detail = ("record_opt_out", "record_opt_in")
    told = ("other_names", "texts", "consent_told", *OF_WHATSAPP)
    readonly_fields = told
    typed = ("name", "phone", "email", "language", "preferred_channel")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        chosen = "preferred_channel" in form.changed_data and obj.preferred_channel == Channel.WHATSAPP
        if chosen and not uses_whatsapp(obj.org_id):
            messages.warning(request, NO_WHATSAPP_YET)

    @shown("Name", ordering="name")
    def name_or_not(self, contact: Contact) -> str:
        return contact.name or "(no name)"

    @shown("Phone")
    def phone_masked(self, contact: Contact) -> str:
        return mask(contact.phone) if contact.phone else "–"

    @shown("Conversation")
    def thread(self, contact: Contact) -> SafeString | str:
        if not contact.phone:
            return "There is no number to text."
        url = reverse("admin:messaging_conversation_change", args=(contact.pk,))
        return format_html('<a class="staff-button" href="{}">Conversation</a>', url)

    @shown("Conversation")
    def reach(self, contact: Contact) -> SafeString | str:
        """For who sees the number: to text it, or to ring it."""
        if not contact.phone:
            return self.thread(contact)
        ring = format_html('<a class="staff-button staff-plain" href="tel:{}">Ring</a>', contact.phone)
        return format_html("{} {}", self.thread(contact), ring)

    @shown("All names given")
    def other_names(self, contact: Contact) -> str:
        return ", ".join(contact.names) or "–"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who may not keep contacts sees the number masked and no e-mail address."""
        if obj is None:
            return self.typed
        if people.holds(request, KEEPS_CONTACTS, obj):
            return ("reach", *self.typed, *self.told)
        return ("thread", "name", "phone_masked", "language", *self.told)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), "phone_masked", "thread", "reach"]

    @shown("Texts")
    def texts(self, contact: Contact) -> SafeString:
        if not contact.phone:
            return label("No phone number")
        wish = wish_of(contact)
        if wish is None or not wish.opted_out:
            return label("Takes texts", "success")
        how = HOW.get(wish.source, wish.source)
        return label(f"No texts since {clinic_time(contact, wish.at)}, {how}", "warning")

    @shown("Texted because")
    def consent_told(self, contact: Contact) -> str:
        if not contact.consent_source:
            return NOTHING
        source = SOURCES.get(contact.consent_source, contact.consent_source)
        return f"{source}, {clinic_time(contact, contact.consent_at)}"

    def asked_about(self, row: Contact) -> str:
        return f"{row.name or 'No name'}, {mask(row.phone)}." if row.phone else ""

    def fits(self, act: str, row: Contact) -> bool:
        if not row.phone or consent.sender_of(row.org_id) is None:
            return False
        return takes_texts(row) == (act == "record_opt_out")

    @asks_about_row(
        "Wants no texts",
        question="Has this person asked for no more texts?",
        explanation="They get no text from the clinic any more, not even about their visits: call them about those.",
        yes="Yes, no more texts",
        permission=MAY_RECORD,
        form=WithReason,
        icon="do_not_disturb_on",
        grave=True,
    )
    def record_opt_out(self, request: HttpRequest, contact: Contact, given: dict[str, Any]) -> Told:
        if not takes_texts(contact):
            return Told("They had opted out already.", done=False)
        consent.record_by_staff(contact, opted_out=True)
        record_act(request, contact, "contact.opt_out", given["reason"])
        return Told("They get no texts any more. Call them about their visits.")

    @asks_about_row(
        "Wants texts again",
        question="Has this person asked for texts again?",
        explanation="Only they can ask for it. Who opted out by text has to text START to the clinic's number as well:"
        " until then Twilio takes no text for them.",
        yes="Yes, text them again",
        permission=MAY_RECORD,
        form=WithReason,
        icon="sms",
    )
    def record_opt_in(self, request: HttpRequest, contact: Contact, given: dict[str, Any]) -> Told:
        if takes_texts(contact):
            return Told("They take texts already.", done=False)
        before = consent.record_by_staff(contact, opted_out=False)
        note_consent(contact.org_id, contact.phone or "", ConsentSource.STAFF, anew=True)
        record_act(request, contact, "contact.opt_in", given["reason"])
        if before is not None and before.source in consent.HELD_AT_TWILIO:
            return Told(
                "Written down. They opted out by text: ask them to text START to your number as well."
            )
        return Told("They are texted again from now on.")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Erasing a person is an act of its own, not the loss of a row."""
        return False


@admin.register(OptOut)
class OptOutAdmin(ReadOnly, ClinicAdmin):
    list_display = (clock("When", "created_at"), "recipient_masked", "channel", "wish", "source_told")
    list_filter = (("org", OfClinic), ("created_at", WholeDays), "opted_out")
    ordering = ("-created_at",)
    readonly_fields = ("recipient_whole", "recipient_masked", "channel", "wish", "source_told")
    recipient_whole = whole("Recipient", "recipient")

    @shown("By")
    def channel(self, line: OptOut) -> str:
        return str(parted(line.sender)[0].label)

    @shown("Recipient")
    def recipient_masked(self, line: OptOut) -> str:
        return mask(line.recipient)

    @shown("Wish", ordering="opted_out")
    def wish(self, line: OptOut) -> SafeString:
        return label("No texts", "warning") if line.opted_out else label("Texts again", "success")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (
            "created_at",
            whole_or_masked(request, obj, "recipient"),
            "channel",
            "sender",
            "wish",
            "source_told",
        )

    @shown("How", ordering="source")
    def source_told(self, line: OptOut) -> str:
        if line.source == consent.KEYWORD and not line.opted_out:
            return HEARD_AGAIN
        return HEARD.get(line.source, line.source)
