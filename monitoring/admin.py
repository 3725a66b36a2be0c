"""Operations: the periodic work, and whether it is alive. For platform operators alone."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
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

from monitoring.breaker import reports
from monitoring.circuits import CircuitState, Level
from monitoring.models import BreakerTransition, Heartbeat
from monitoring.service_words import LEVELS, SERVICES, STATES, name_of, whose_circuit
from voxanne.staff.bases import DropdownFilter
from voxanne.staff.clinic_admin import ListedPage, OperatorOnly, ReadOnly
from voxanne.staff.columns import NOTHING, age, label, shown, utc_clock
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


class ByService(DropdownFilter):
    """By the service's plain name."""

    title = "service"
    parameter_name = "service"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(service, name) for service, (name, _) in SERVICES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(service=self.value()) if self.value() else queryset


class ByState(DropdownFilter):
    """By the state's word."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(STATES.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(state=self.value()) if self.value() else queryset


@admin.register(BreakerTransition)
class BreakerTransitionAdmin(ReadOnly, OperatorOnly, ListedPage):
    """On top what fails now, below what changed and when."""

    list_display = (utc_clock("At", "at"), "of_service", "org", "state_badge", "of_level", "known_to_all")
    list_select_related = ("org",)
    list_filter = (ByService, ByState, ("at", WholeDays))
    list_before_template = "monitoring/circuits_now.html"
    ordering = ("-at",)
    fields: ClassVar[Any] = (
        utc_clock("At", "at"),
        "of_service",
        "org",
        "state_badge",
        "of_level",
        "known_to_all",
    )
    readonly_fields: ClassVar[Any] = fields

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        now = {"circuits_now": circuits_now(), "circuit_columns": CIRCUIT_COLUMNS}
        return super().changelist_view(request, {**(extra_context or {}), **now})

    @shown("Service", ordering="service")
    def of_service(self, transition: BreakerTransition) -> str:
        return name_of(transition.service)

    @shown("State", ordering="state")
    def state_badge(self, transition: BreakerTransition) -> SafeString:
        return _state_badge(transition.state)

    @shown("For", ordering="level")
    def of_level(self, transition: BreakerTransition) -> str:
        alone = transition.level == Level.CLINIC and transition.org_id is None
        return "Our own questions" if alone else LEVELS.get(transition.level, transition.level)

    @shown("Known to", ordering="shared")
    def known_to_all(self, transition: BreakerTransition) -> str:
        return "All processes" if transition.shared else "One process, while Redis was away"


CIRCUIT_COLUMNS = ("Service", "For", "State", "Failing", "Next question")


def circuits_now() -> list[tuple[Any, ...]]:
    """The circuits that are not closed, as rows of the page's own table."""
    return [
        (
            name_of(one.service),
            whose_circuit(one.clinic),
            _state_badge(one.state.value),
            # On a phone the cells stand without their headings.
            f"since {_clock(one.failing_since)}",
            _asked_again(one.next_probe_at),
        )
        for one in reports()
        if one.state != CircuitState.CLOSED
    ]


def _state_badge(state: str) -> SafeString:
    return label(STATES.get(state, state), CIRCUIT_TONES.get(state, ""))


def _asked_again(unix_seconds: float | None) -> str:
    """A circuit is asked by the work that waits for it: long past its time, nothing waits."""
    past = unix_seconds is not None and unix_seconds < time.time()
    return "asked again with the next piece of work" if past else f"asked again at {_clock(unix_seconds)}"


def _clock(unix_seconds: float | None) -> str:
    if not unix_seconds:
        return NOTHING
    at = datetime.fromtimestamp(unix_seconds, UTC)
    return f"{at:%a %-d %b, %H:%M:%S} UTC"


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
