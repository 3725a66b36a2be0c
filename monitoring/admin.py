"""Operations: the periodic work, and whether it is alive. For platform operators alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.utils import timezone
from django.utils.safestring import SafeString
from django_celery_beat.admin import ClockedScheduleAdmin, CrontabScheduleAdmin, TaskSelectWidget
from django_celery_beat.admin import PeriodicTaskAdmin as StockPeriodicTaskAdmin
from django_celery_beat.admin import PeriodicTaskForm as StockPeriodicTaskForm
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from monitoring.models import BreakerTransition, Heartbeat
from voxanne.staff.clinic_admin import ListedPage, OperatorOnly, ReadOnly
from voxanne.staff.columns import age, label, shown, utc_clock
from voxanne.staff.filters import WholeDays

# A periodic job this late is alerted on; its row says so as well.
LATE = timedelta(minutes=5)
STARTED, LAST = utc_clock("Started", "started_at"), utc_clock("Ran through", "last_at")
CIRCUIT_TONES = {"closed": "success", "half_open": "warning", "open": "danger"}

for stock in (PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule):
    if admin.site.is_registered(stock):
        admin.site.unregister(stock)


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnly, OperatorOnly, ListedPage):
    list_display = ("job", STARTED, LAST, age("Age", "last_at"), "alive")
    fields: ClassVar[Any] = ("job", STARTED, LAST, "alive")
    readonly_fields: ClassVar[Any] = (STARTED, LAST, "alive")
    ordering = ("last_at",)

    @shown("State")
    def alive(self, heartbeat: Heartbeat) -> SafeString:
        late = heartbeat.last_at is None or timezone.now() - heartbeat.last_at > LATE
        return label("Late", "danger") if late else label("Alive", "success")


@admin.register(BreakerTransition)
class BreakerTransitionAdmin(ReadOnly, OperatorOnly, ListedPage):
    list_display = (utc_clock("At", "at"), "service", "org", "state_badge", "level", "shared")
    list_select_related = ("org",)
    list_filter = ("service", "state", ("at", WholeDays))
    ordering = ("-at",)

    @shown("State", ordering="state")
    def state_badge(self, transition: BreakerTransition) -> SafeString:
        return label(transition.state.replace("_", " "), CIRCUIT_TONES.get(transition.state, ""))


class RegisteredTaskWidget(UnfoldAdminSelectWidget, TaskSelectWidget):  # type: ignore[misc]
    """The theme's select, filled with the tasks that the workers know."""


class PeriodicTaskForm(StockPeriodicTaskForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "task" in self.fields:
            self.fields["task"].widget = UnfoldAdminTextInputWidget()
        if "regtask" in self.fields:
            self.fields["regtask"].widget = RegisteredTaskWidget()


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(OperatorOnly, StockPeriodicTaskAdmin, ListedPage):  # type: ignore[misc]
    form = PeriodicTaskForm
    date_hierarchy = None
    list_display = ("name", "enabled", "scheduler", utc_clock("Last run", "last_run_at"), "total_run_count")
    list_filter = ("enabled", "one_off")


@admin.register(IntervalSchedule)
class IntervalAdmin(OperatorOnly, ListedPage):
    list_display = ("__str__", "every", "period")


@admin.register(CrontabSchedule)
class CrontabAdmin(OperatorOnly, CrontabScheduleAdmin, ListedPage):  # type: ignore[misc]
    """Times of day and days of the week."""


@admin.register(SolarSchedule)
class SolarAdmin(OperatorOnly, ListedPage):
    list_display = ("event", "latitude", "longitude")


@admin.register(ClockedSchedule)
class ClockedAdmin(OperatorOnly, ClockedScheduleAdmin, ListedPage):  # type: ignore[misc]
    """Once, at an instant."""
