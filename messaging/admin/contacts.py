"""Contacts and who asked not to be texted."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from messaging.admin.numbers import KEEPS_CONTACTS, clean_number, whole_or_masked
from messaging.models import Contact, OptOut
from messaging.phone_numbers import mask
from voxanne.staff import people
from voxanne.staff.clinic_admin import ClinicAdmin, ReadOnly
from voxanne.staff.columns import clock, label, shown
from voxanne.staff.filters import OfClinic, WholeDays
from voxanne.staff.forms import ClinicForm
from voxanne.tenancy.models import Organization

# How an opt-out came to us.
SOURCES = {
    "keyword": "By a text, such as STOP",
    "carrier": "Told by the carrier",
    "staff": "Entered by staff",
}


class ContactForm(ClinicForm):
    """A number is read in the clinic's country and kept as E.164, so that one person is one contact."""

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
        return cleaned


@admin.register(Contact)
class ContactAdmin(ClinicAdmin):
    form = ContactForm
    list_display = ("name_or_not", "phone_masked", "language", clock("Known since", "created_at"))
    list_filter = (("org", OfClinic), ("created_at", WholeDays))
    search_fields = ("name", "phone", "email")
    masked_fields = ("phone", "email")
    search_help_text = "Name, e-mail address, or the last digits of a number"
    ordering = ("name", "pk")
    readonly_fields = ("other_names", "consent_source", "consent_at")
    whole = ("name", "phone", "email", "language", "other_names", "consent_source", "consent_at")

    @shown("Name", ordering="name")
    def name_or_not(self, contact: Contact) -> str:
        return contact.name or "(no name)"

    @shown("Phone")
    def phone_masked(self, contact: Contact) -> str:
        return mask(contact.phone) if contact.phone else "–"

    @shown("All names given")
    def other_names(self, contact: Contact) -> str:
        return ", ".join(contact.names) or "–"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who may not keep contacts sees the number masked and no e-mail address."""
        if obj is None or people.holds(request, KEEPS_CONTACTS, obj):
            return self.whole
        return ("name", "phone_masked", "language", "other_names", "consent_source", "consent_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), "phone_masked"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Erasing a person is an act of its own, not the loss of a row."""
        return False


@admin.register(OptOut)
class OptOutAdmin(ReadOnly, ClinicAdmin):
    list_display = (clock("When", "created_at"), "recipient_masked", "wish", "source_told")
    list_filter = (("org", OfClinic), ("created_at", WholeDays), "opted_out")
    ordering = ("-created_at",)
    readonly_fields = ("recipient_masked", "wish", "source_told")

    @shown("Recipient")
    def recipient_masked(self, line: OptOut) -> str:
        return mask(line.recipient)

    @shown("Wish", ordering="opted_out")
    def wish(self, line: OptOut) -> SafeString:
        return label("No texts", "warning") if line.opted_out else label("Texts again", "success")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("created_at", whole_or_masked(request, obj, "recipient"), "sender", "wish", "source_told")

    @shown("How", ordering="source")
    def source_told(self, line: OptOut) -> str:
        return SOURCES.get(line.source, line.source)
