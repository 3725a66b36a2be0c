"""What can be booked, with whom and when: providers with hours and services, services, closures."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin

from bookings.models import (
    LONGEST_VISIT,
    SHORTEST_VISIT,
    Closure,
    Provider,
    ProviderService,
    Service,
    WorkingHours,
)
from voxanne.staff.clinic_admin import ClinicAdmin, ClinicTabular
from voxanne.staff.columns import clock, shown
from voxanne.staff.filters import OfClinic, Scoped, WholeDays
from voxanne.staff.forms import ClinicForm


class WorkingHoursForm(ClinicForm):
    """One window of a weekday; a break is the gap between two."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        opens, closes = cleaned.get("opens"), cleaned.get("closes")
        if opens and closes is not None and closes.isoformat() != "00:00:00" and closes <= opens:
            self.add_error(
                "closes", "It closes before it opens; write 00:00 for midnight at the end of the day."
            )
        return cleaned


class WorkingHoursInline(ClinicTabular):
    model = WorkingHours
    form = WorkingHoursForm
    fields = ("weekday", "opens", "closes")


class ProviderServiceInline(ClinicTabular):
    model = ProviderService
    fields = ("service",)
    verbose_name = "service"
    verbose_name_plural = "services"


@admin.register(Provider)
class ProviderAdmin(ClinicAdmin):
    list_display = ("name", "slug", "position", "active")
    list_filter = (("org", OfClinic), "active")
    search_fields = ("name", "slug")
    ordering = ("org__name", "position", "name")
    fields = ("name", "slug", "position", "active")
    inlines = (WorkingHoursInline, ProviderServiceInline)


class ServiceForm(ClinicForm):
    """The usual length lies between the shortest and the longest."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        usual = cleaned.get("minutes")
        shortest, longest = cleaned.get("shortest_minutes"), cleaned.get("longest_minutes")
        for name, value in (("shortest_minutes", shortest), ("longest_minutes", longest)):
            if value is not None and not SHORTEST_VISIT <= value <= LONGEST_VISIT:
                self.add_error(name, f"Between {SHORTEST_VISIT} and {LONGEST_VISIT} minutes.")
        if usual and shortest and shortest > usual:
            self.add_error("shortest_minutes", "Longer than the usual length.")
        if usual and longest and longest < usual:
            self.add_error("longest_minutes", "Shorter than the usual length.")
        return cleaned


@admin.register(Service)
class ServiceAdmin(ClinicAdmin):
    form = ServiceForm
    list_display = ("name", "slug", "minutes", "is_default", "active")
    list_filter = (("org", OfClinic), "active")
    search_fields = ("name", "slug")
    ordering = ("org__name", "name")
    fieldsets = (
        (None, {"fields": ("name", "slug", "is_default", "active")}),
        (
            "Length, in minutes",
            {"fields": ("minutes", "shortest_minutes", "longest_minutes", "buffer_before", "buffer_after")},
        ),
        ("When it may be booked", {"fields": ("minimum_notice", "horizon_days")}),
    )


# Beyond these a moment on the clinic's clock may be none the database can give back.
PLAUSIBLE_YEARS = range(2000, 2101)


class ClosureForm(ClinicForm):
    """Times are on the clinic's clock."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        starts, ends = cleaned.get("starts_at"), cleaned.get("ends_at")
        for name in ("starts_at", "ends_at"):
            moment = cleaned.get(name)
            if moment and moment.year not in PLAUSIBLE_YEARS:
                self.add_error(name, "Give a year between 2000 and 2100.")
        if starts and ends and ends <= starts:
            self.add_error("ends_at", "It ends before it starts.")
            raise forms.ValidationError("A closure ends after it starts.")
        return cleaned


@admin.register(Closure)
class ClosureAdmin(ClinicAdmin):
    form = ClosureForm
    list_display = ("reason_or_closed", "whose", clock("From", "starts_at"), clock("Until", "ends_at"))
    list_select_related = ("org", "provider")
    list_filter = (("org", OfClinic), ("provider", Scoped), ("starts_at", WholeDays))
    ordering = ("-starts_at",)
    # One instant a row: side by side, two overflow the page.
    fields = ("reason", "provider", "starts_at", "ends_at")

    @shown("Closure", ordering="reason")
    def reason_or_closed(self, closure: Closure) -> str:
        return closure.reason or "Closed"

    @shown("Who", ordering="provider")
    def whose(self, closure: Closure) -> str:
        return str(closure.provider) if closure.provider else "The whole clinic"
