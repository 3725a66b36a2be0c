"""The lines calls come in on: numbers, assistants, Vapi's credentials, and where callers are put through to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from bookings.models import Weekday
from messaging.admin.numbers import clean_number
from messaging.senders import ANOTHERS_NUMBER, is_anothers_number
from telephony.clinics import is_our_number
from telephony.missed_calls.lines import SIP
from telephony.models import Assistant, PhoneNumber, TransferDestination, VapiCredential
from telephony.never_dead.fire_drill import ask_for_drill
from telephony.vapi.credentials import digest
from voxanne.staff.asking import Told, asks_about_rows
from voxanne.staff.audit import record_act
from voxanne.staff.clinic_admin import ClinicAdmin
from voxanne.staff.columns import clock, shown
from voxanne.staff.filters import OfChoices, OfClinic
from voxanne.staff.forms import ClinicForm, SecretsForm
from voxanne.tenancy.models import Organization

SHORTEST_SECRET = 16


class LineForm(ClinicForm):
    """Numbers are read in the clinic's country and kept as E.164; one that callers ring must not be one of ours."""

    numbers: tuple[str, ...] = ("number",)
    rung: tuple[str, ...] = ()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        clinic: Organization | None = cleaned.get("org") or getattr(self.instance, "org", None)
        if clinic is None:
            return cleaned
        for name in self.numbers:
            try:
                cleaned[name] = self._number(name, clinic) if name in cleaned else ""
            except forms.ValidationError as error:
                self.add_error(name, error)
        return cleaned

    def _number(self, name: str, clinic: Organization) -> str:
        number = clean_number(self.cleaned_data.get(name), clinic.country) or ""
        if number and name in self.rung and is_our_number(number):
            raise forms.ValidationError("That is a number of our own: the caller would come straight back.")
        return number


class PhoneNumberForm(LineForm):
    numbers = ("number", "forward_to")
    rung = ("forward_to",)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        clinic = cleaned.get("org") or getattr(self.instance, "org", None)
        number = cleaned.get("number")
        if number and clinic is not None and is_anothers_number(number, clinic.pk):
            self.add_error("number", ANOTHERS_NUMBER)
        return cleaned

    def clean_assistant_address(self) -> str:
        """A SIP address as it is, a number as E.164."""
        typed: str = self.cleaned_data["assistant_address"].strip()
        if typed.lower().startswith(SIP):
            return typed
        clinic: Organization | None = self.cleaned_data.get("org") or getattr(self.instance, "org", None)
        return clean_number(typed, clinic.country) or "" if clinic is not None else typed

    def clean_vapi_phone_number_id(self) -> str | None:
        return self.cleaned_data["vapi_phone_number_id"] or None


@admin.register(PhoneNumber)
class PhoneNumberAdmin(ClinicAdmin):
    form = PhoneNumberForm
    list_display = ("number", "label", "mode", "forward_to")
    list_filter = (("org", OfClinic), ("mode", OfChoices))
    search_fields = ("number", "label")
    ordering = ("number",)
    fields = (
        "number",
        "label",
        "mode",
        "forward_to",
        "ring_seconds",
        "voicemail_seconds",
        "whisper",
        "assistant_address",
        "vapi_phone_number_id",
    )
    actions = ("drill_selected",)

    def in_a_line(self, row: PhoneNumber) -> str:
        """Several clinics have a main line."""
        return f"{row.number}, {row.label or 'no label'}, {row.org}"

    @asks_about_rows(
        "Fire drill",
        question="Drill these numbers?",
        explanation=(
            "A worker proves that each of them rings the clinic when our database, or all of us, is down. "
            "Nobody's phone rings. The results stand under Fire drills."
        ),
        yes="Yes, drill them",
        permission="telephony.drill_phonenumber",
    )
    def drill_selected(
        self, request: HttpRequest, numbers: Sequence[PhoneNumber], given: dict[str, Any]
    ) -> Told:
        for number in numbers:
            ask_for_drill(number)
            record_act(request, number, "number.drill")
        return Told(f"Asked for: {len(numbers)}. See Fire drills in a moment.")


@admin.register(Assistant)
class AssistantAdmin(ClinicAdmin):
    list_display = ("name", "vapi_assistant_id")
    list_filter = (("org", OfClinic),)
    search_fields = ("name", "vapi_assistant_id")
    ordering = ("name",)
    fields = ("name", "vapi_assistant_id")


class VapiCredentialForm(SecretsForm):
    """The secret is found again by its digest, which follows it."""

    secrets = ("secret",)
    derived = ("digest",)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        secret = cleaned.get("secret") or ""
        if "secret" in self.changed_data and len(secret) < SHORTEST_SECRET:
            self.add_error("secret", f"At least {SHORTEST_SECRET} characters, made at random.")
        elif VapiCredential.objects.filter(digest=digest(secret)).exclude(pk=self.instance.pk).exists():
            self.add_error("secret", "This secret is in use already.")
        self.instance.digest = digest(secret)
        return cleaned


@admin.register(VapiCredential)
class VapiCredentialAdmin(ClinicAdmin):
    """The secret is entered once and never shown."""

    form = VapiCredentialForm
    list_display = ("label", "active", clock("Since", "created_at"))
    list_filter = (("org", OfClinic), "active")
    ordering = ("-created_at",)

    def get_fields(self, request: Any, obj: Any = None) -> Any:
        may_enter = (
            self.has_change_permission(request, obj) if obj is not None else self.has_add_permission(request)
        )
        if may_enter:
            return ("label", "secret", "vapi_credential_id", "active")
        return ("label", "active", "created_at")


class TransferForm(LineForm):
    rung = ("number",)
    weekdays = forms.TypedMultipleChoiceField(
        choices=Weekday.choices,
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple(attrs={"class": "staff-days"}),
        help_text="None: nobody answers there.",
    )


@admin.register(TransferDestination)
class TransferDestinationAdmin(ClinicAdmin):
    form = TransferForm
    list_display = ("department", "number", "days", "opens", "closes")
    list_filter = (("org", OfClinic), ("department", OfChoices))
    ordering = ("org__name", "department")
    fields = ("department", "number", "weekdays", "opens", "closes")

    @shown("Days")
    def days(self, destination: TransferDestination) -> str:
        return ", ".join(Weekday(day).label[:3] for day in sorted(destination.weekdays)) or "Never"
