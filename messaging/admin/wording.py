"""What a clinic says, and the number it says it from."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin

from messaging.admin.numbers import clean_number
from messaging.models import MessageTemplate, SenderAccount
from messaging.segments import measure, plain
from messaging.senders import ANOTHERS_NUMBER, is_anothers_number
from messaging.wording import check_template
from voxanne.staff.clinic_admin import ClinicAdmin
from voxanne.staff.columns import shown
from voxanne.staff.filters import OfChoices, OfClinic
from voxanne.staff.forms import ClinicForm, SecretsForm


class WordingForm(ClinicForm):
    """Words that can be filled in: no place is named that nobody fills."""

    def clean_body(self) -> str:
        body: str = self.cleaned_data["body"]
        try:
            check_template(body)
        except ValueError as error:
            raise forms.ValidationError(f"{error}") from error
        return body


@admin.register(MessageTemplate)
class MessageTemplateAdmin(ClinicAdmin):
    form = WordingForm
    list_display = ("kind", "start_of_body", "segments")
    list_filter = (("org", OfClinic), ("kind", OfChoices))
    fields = ("kind", "body")
    ordering = ("org__name", "kind")

    @shown("Words")
    def start_of_body(self, template: MessageTemplate) -> str:
        return template.body if len(template.body) <= 90 else f"{template.body[:89]}…"

    @shown("Segments, about")
    def segments(self, template: MessageTemplate) -> int:
        return measure(plain(template.body)).segments


class SenderForm(SecretsForm):
    secrets = ("auth_token", "api_secret")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        clinic = cleaned.get("org") or getattr(self.instance, "org", None)
        if cleaned.get("number") and clinic is not None:
            try:
                cleaned["number"] = clean_number(cleaned["number"], clinic.country)
            except forms.ValidationError as error:
                self.add_error("number", error)
            else:
                if is_anothers_number(cleaned["number"] or "", clinic.pk):
                    self.add_error("number", ANOTHERS_NUMBER)
        return cleaned


@admin.register(SenderAccount)
class SenderAccountAdmin(ClinicAdmin):
    """The credentials can be replaced, never read."""

    form = SenderForm
    list_display = ("number", "own_account", "paused_reason")
    list_filter = (("org", OfClinic),)
    search_fields = ("number", "org__name")
    typed = (
        "number",
        "account_sid",
        "auth_token",
        "api_key",
        "api_secret",
        "messaging_service_sid",
        "paused_reason",
    )

    def get_fields(self, request: Any, obj: Any = None) -> Any:
        if self.has_change_permission(request, obj):
            return self.typed
        return ("number", "own_account", "messaging_service_sid", "paused_reason")

    readonly_fields = ("own_account",)

    @shown("Account")
    def own_account(self, sender: SenderAccount) -> str:
        return f"Own, {mask_sid(sender.account_sid)}" if sender.account_sid else "The platform's"


def mask_sid(sid: str) -> str:
    return f"{sid[:2]}…{sid[-4:]}"
