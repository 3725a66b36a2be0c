"""What a clinic may say by WhatsApp outside a conversation, and whether it goes by WhatsApp just now."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextInputWidget

from messaging.models import SenderAccount, WhatsAppTemplate
from messaging.sending import whatsapp
from messaging.words.whatsapp_words import check_template
from voxanne.staff.asking import Told, WithReason, asks_about_row
from voxanne.staff.audit import record_act
from voxanne.staff.clinic_admin import ClinicAdmin
from voxanne.staff.columns import label, shown
from voxanne.staff.filters import OfChoices, OfClinic
from voxanne.staff.forms import ClinicForm
from voxanne.staff.rows import RowButton

MAY_PAUSE = "messaging.pause_senderaccount"


class TemplateForm(ClinicForm):
    """A template that Twilio will know, with places that are always filled."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "variables" in self.fields:
            self.fields["variables"].label = "Filled with"
            self.fields["variables"].widget = UnfoldAdminTextInputWidget(
                attrs={"placeholder": "clinic, date, time"}
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        cleaned["variables"] = [name.strip("{} ").lower() for name in cleaned.get("variables") or []]
        if not self.errors:
            try:
                check_template(cleaned["kind"], cleaned["content_sid"], cleaned["variables"])
            except ValueError as error:
                field = "content_sid" if "Content SID" in f"{error}" else "variables"
                self.add_error(field, forms.ValidationError(f"{error}"))
        return cleaned


@admin.register(WhatsAppTemplate)
class WhatsAppTemplateAdmin(ClinicAdmin):
    form = TemplateForm
    list_display = ("kind", "content_sid", "places")
    list_filter = (("org", OfClinic), ("kind", OfChoices))
    fields = ("kind", "content_sid", "variables")
    ordering = ("org__name", "kind")

    @shown("Filled with")
    def places(self, template: WhatsAppTemplate) -> str:
        return ", ".join(template.variables) or "nothing"


def is_used(sender: SenderAccount) -> bool:
    return sender.whatsapp_on and not sender.whatsapp_paused_reason


def is_paused(sender: SenderAccount) -> bool:
    return bool(sender.whatsapp_paused_reason)


class WhatsAppActs:
    """Pausing and resuming, for the sender's page."""

    @asks_about_row(
        "Pause WhatsApp",
        question="Send everything by text instead?",
        explanation="Nothing goes by WhatsApp until it is resumed. Every patient gets a text in its place.",
        yes="Yes, use texts only",
        permission=MAY_PAUSE,
        form=WithReason,
        icon="chat_error",
    )
    def pause_whatsapp(self, request: HttpRequest, sender: SenderAccount, given: dict[str, Any]) -> Told:
        if not whatsapp.pause(sender.org_id, given["reason"], by_a_person=True):
            return Told("WhatsApp was paused already.", done=False)
        record_act(request, sender, "whatsapp.pause", given["reason"])
        return Told("WhatsApp is paused: everything goes by text.")

    @asks_about_row(
        "Resume WhatsApp",
        question="Use WhatsApp again?",
        explanation="Patients who chose WhatsApp get their messages there again. Resume only when what stopped it is"
        " mended, or it will stop again.",
        yes="Yes, use WhatsApp again",
        permission=MAY_PAUSE,
        form=WithReason,
        icon="chat",
    )
    def resume_whatsapp(self, request: HttpRequest, sender: SenderAccount, given: dict[str, Any]) -> Told:
        if not whatsapp.resume(sender.org_id):
            return Told("WhatsApp was not paused.", done=False)
        record_act(request, sender, "whatsapp.resume", given["reason"])
        return Told("WhatsApp is used again.")

    @shown("WhatsApp")
    def by_whatsapp(self, sender: SenderAccount) -> SafeString:
        if sender.whatsapp_paused_reason:
            return label("Paused", "danger")
        return label("On", "success") if sender.whatsapp_on else label("Off")


FITS = {"pause_whatsapp": is_used, "resume_whatsapp": is_paused}
ROW_BUTTONS = (
    RowButton("pause_whatsapp", "Pause WhatsApp", MAY_PAUSE, is_used),
    RowButton("resume_whatsapp", "Resume WhatsApp", MAY_PAUSE, is_paused),
)
