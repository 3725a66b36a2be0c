"""Fire drills: what was proved of each number, check by check, with what to do about it."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from telephony.models import FireDrill
from voxanne.staff.clinic_admin import ClinicAdmin, ReadOnly
from voxanne.staff.columns import NOTHING, badge, clinic_time, clock, label, shown
from voxanne.staff.filters import OfChoices, OfClinic, WholeDays

VERDICT_TONES = {"pass": "success", "warn": "warning", "fail": "danger"}
STATE_TONES = {"queued": "info", "running": "info", "done": "", "dead": "danger"}


@admin.register(FireDrill)
class FireDrillAdmin(ReadOnly, ClinicAdmin):
    list_display = (clock("When", "created_at"), "to_number", "verdict_badge", "state_badge", "in_short")
    list_select_related = ("org", "number")
    list_filter = (("org", OfClinic), ("verdict", OfChoices), ("created_at", WholeDays))
    ordering = ("-created_at",)
    fields = ("to_number", "verdict_badge", "state_badge", "asked", "finished", "all_checks", "last_error")
    readonly_fields = ("to_number", "verdict_badge", "state_badge", "asked", "finished", "all_checks")

    verdict_badge = badge("Verdict", "verdict", VERDICT_TONES)
    state_badge = badge("State", "state", STATE_TONES)

    @shown("Number")
    def to_number(self, drill: FireDrill) -> str:
        return f"{drill.number.number} {drill.number.label}".strip()

    @shown("In short")
    def in_short(self, drill: FireDrill) -> str:
        wrong = [check for check in drill.checks if check.get("verdict") != FireDrill.Verdict.PASS]
        return "; ".join(str(check.get("name")) for check in wrong) or NOTHING

    @shown("Checks")
    def all_checks(self, drill: FireDrill) -> SafeString | str:
        lines = (
            (label(str(check.get("verdict")).upper(), VERDICT_TONES.get(str(check.get("verdict")), "")),
             check.get("name", ""), check.get("said", ""))
            for check in drill.checks
        )  # fmt: skip
        told = format_html_join("", "<p>{} <strong>{}</strong>: {}</p>", lines)
        return format_html('<div class="staff-prose">{}</div>', told) if told else NOTHING

    @shown("Asked for")
    def asked(self, drill: FireDrill) -> str:
        return clinic_time(drill, drill.created_at)

    @shown("Finished")
    def finished(self, drill: FireDrill) -> str:
        return clinic_time(drill, drill.finished_at)
