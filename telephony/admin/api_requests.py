"""What partners asked the booking API under a key. Keys and callers are digests; nobody writes here."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from telephony.models import ApiIdempotencyKey
from voxanne.staff.clinic_admin import ClinicAdmin, ReadOnly
from voxanne.staff.columns import NOTHING, clock, link, page_of, shown
from voxanne.staff.filters import OfClinic, WholeDays

CREATED = 201


@admin.register(ApiIdempotencyKey)
class ApiIdempotencyKeyAdmin(ReadOnly, ClinicAdmin):
    list_display = (clock("When", "created_at"), "came_to", "to_visit")
    list_filter = (("org", OfClinic), ("created_at", WholeDays))
    ordering = ("-created_at",)
    fields = ("created_at", "came_to", "to_visit", "key", "caller", "request")
    readonly_fields = ("came_to", "to_visit")

    @shown("Came to")
    def came_to(self, asked: ApiIdempotencyKey) -> str:
        if asked.status == CREATED:
            return "Booked"
        code = asked.answer.get("error", {}).get("code") if isinstance(asked.answer, dict) else None
        return f"Refused: {code}" if code else NOTHING

    @shown("Visit")
    def to_visit(self, asked: ApiIdempotencyKey) -> SafeString | str:
        visit = asked.answer.get("appointment_id") if isinstance(asked.answer, dict) else None
        return link(page_of("bookings_appointment", visit), "The visit") if visit else NOTHING
