"""When a clinic's texts wait for the morning, and how many may go out."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from messaging.manners.budget import month_of, used_in
from messaging.manners.policy import Policy, let_go
from messaging.models import MessagingPolicy
from voxanne.staff.clinic_admin import ClinicAdmin
from voxanne.staff.columns import NOTHING, shown
from voxanne.staff.filters import OfClinic
from voxanne.staff.forms import ClinicForm


class RulesForm(ClinicForm):
    """A night has a beginning and an end."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        begins, ends = cleaned.get("quiet_from"), cleaned.get("quiet_until")
        if "quiet_from" in self.errors or "quiet_until" in self.errors:
            return cleaned
        if (begins is None) != (ends is None):
            missing = "quiet_from" if begins is None else "quiet_until"
            self.add_error(missing, "Give both times, or leave both blank.")
        elif begins is not None and begins == ends:
            self.add_error("quiet_until", "That would be all day. Give another time, or leave both blank.")
        return cleaned


@admin.register(MessagingPolicy)
class MessagingPolicyAdmin(ClinicAdmin):
    """Rules that change let what the old ones held back be judged anew at once."""

    form = RulesForm
    list_display = ("quiet", "budget", "a_minute")
    list_filter = (("org", OfClinic),)
    ordering = ("org__name",)
    readonly_fields = ("used_this_month",)

    def sections(self, request: HttpRequest, obj: Any = None) -> Any:
        used = ["used_this_month"] if obj is not None else []
        return [
            ("Quiet hours", {"fields": ["quiet_from", "quiet_until"]}),
            ("How many", {"fields": ["monthly_segments", *used, "messages_a_minute"]}),
            ("Answers", {"fields": ["answers_help"]}),
        ]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        let_go(obj.org_id)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        let_go(obj.org_id)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        clinics = list(queryset.values_list("org_id", flat=True))
        super().delete_queryset(request, queryset)
        for org_id in clinics:
            let_go(org_id)

    @shown("Quiet hours")
    def quiet(self, rules: MessagingPolicy) -> str:
        if rules.quiet_from is None or rules.quiet_until is None:
            return "None"
        return f"{rules.quiet_from:%H:%M}–{rules.quiet_until:%H:%M}, recipient's time"

    @shown("Used this month")
    def used_this_month(self, rules: MessagingPolicy) -> str:
        used = used_in(rules.org_id, month_of(timezone.now(), Policy(rules.org.zone)))
        if not rules.monthly_segments:
            return f"{used} segments"
        return f"{used} of {rules.monthly_segments} segments ({used * 100 // rules.monthly_segments} %)"

    @shown("This month")
    def budget(self, rules: MessagingPolicy) -> str:
        return self.used_this_month(rules)

    @shown("Texts a minute")
    def a_minute(self, rules: MessagingPolicy) -> str:
        return str(rules.messages_a_minute) if rules.messages_a_minute else NOTHING
