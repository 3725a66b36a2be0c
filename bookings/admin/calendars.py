"""Providers' own calendars: what is connected, what it says is taken, what was written to it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from bookings.models import BusyBlock, CalendarConnection, CalendarPush
from bookings.states import PushState
from voxanne.durable import work
from voxanne.staff.asking import Told, asks_about_row
from voxanne.staff.audit import record_act
from voxanne.staff.clinic_admin import ClinicAdmin, ReadOnly
from voxanne.staff.columns import age, badge, clinic_time, clock, link_to, shown
from voxanne.staff.filters import OfChoices, OfClinic, Scoped, WholeDays

PUSH_TONES = {"queued": "info", "pushing": "info", "done": "success", "dead": "danger", "skipped": ""}
CONNECTION_TONES = {"connected": "success", "needs_reauth": "danger"}
MAY_REDRIVE = "bookings.change_calendarpush"


@admin.register(CalendarConnection)
class CalendarConnectionAdmin(ReadOnly, ClinicAdmin):
    """The credentials are not shown, not even their presence."""

    list_display = ("provider", "calendar_id", "state_badge", clock("Since", "state_since"))
    list_select_related = ("org", "provider")
    list_filter = (("org", OfClinic), ("state", OfChoices))
    fields = ("provider", "calendar_id", "state_badge", "state_since", "last_error")
    readonly_fields = ("state_badge",)
    ordering = ("org__name", "provider__name")

    state_badge = badge("State", "state", CONNECTION_TONES)


@admin.register(BusyBlock)
class BusyBlockAdmin(ReadOnly, ClinicAdmin):
    list_display = (clock("From", "starts_at"), clock("Until", "ends_at"), "provider")
    list_select_related = ("org", "provider")
    list_filter = (("org", OfClinic), ("provider", Scoped), ("starts_at", WholeDays))
    fields = ("provider", "starts_at", "ends_at", "external_id")
    ordering = ("-starts_at",)


@admin.register(CalendarPush)
class CalendarPushAdmin(ReadOnly, ClinicAdmin):
    list_display = (
        clock("Written", "created_at"),
        "to_visit",
        "state_badge",
        "attempts",
        age("Age", "created_at"),
    )
    list_select_related = ("org", "appointment", "appointment__org")
    list_filter = (("org", OfClinic), ("state", OfChoices), ("created_at", WholeDays))
    ordering = ("-created_at",)
    actions_detail = ("redrive",)
    fields = (
        "to_visit",
        "state_badge",
        "attempts",
        "last_error",
        "calendar_id",
        "event_id",
        "pushed",
        "next_attempt_at",
    )
    readonly_fields = ("to_visit", "state_badge", "pushed")

    def fits(self, act: str, row: CalendarPush) -> bool:
        return row.state == PushState.DEAD

    @asks_about_row(
        "Redrive",
        question="Write this event again?",
        explanation="The event is put back in the queue.",
        yes="Yes, redrive it",
        permission=MAY_REDRIVE,
        icon="replay",
    )
    def redrive(self, request: HttpRequest, push: CalendarPush, given: dict[str, Any]) -> Told:
        if not work.redrive(CalendarPush, push.org_id, push.pk):
            return Told(f"Nothing to redrive: {push.get_state_display().lower()}.", done=False)
        record_act(request, push, "calendarpush.redrive")
        return Told("The event is back in the queue.")

    @shown("Visit")
    def to_visit(self, push: CalendarPush) -> SafeString | str:
        return link_to(push.appointment)

    state_badge = badge("State", "state", PUSH_TONES)

    @shown("On the calendar since")
    def pushed(self, push: CalendarPush) -> str:
        return clinic_time(push, push.pushed_at)
