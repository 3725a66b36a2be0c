from __future__ import annotations

import time
from datetime import time as hour
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate

# As near to the start of the process as Django lets us know of it.
STARTED = time.monotonic()


class MonitoringConfig(AppConfig):
    name = "monitoring"
    verbose_name = "Operations"

    def ready(self) -> None:
        from monitoring.schedule import register_daily, register_heartbeat, register_periodic

        register_heartbeat("beat", "monitoring.tasks.beat_heartbeat", every_seconds=10, expires=30)
        register_periodic("wake workers for due rows", "voxanne.durable.tasks.sweep", every_seconds=5)
        register_periodic("look at the thresholds", "monitoring.tasks.look_at_thresholds", every_seconds=60)
        register_daily("clean up what has served its time", "monitoring.tasks.clean_up", at=hour(4))
        _register_own_upkeep()
        _register_readiness_checks()
        _start_error_reports()
        post_migrate.connect(_write_schedule, sender=self, dispatch_uid="monitoring.schedule")


def _register_own_upkeep() -> None:
    from monitoring.breaker import worst_states
    from monitoring.gauges import register_gauge
    from monitoring.metrics import BREAKER_STATE
    from monitoring.retention import register_retention
    from monitoring.transitions import forget_old

    register_gauge(BREAKER_STATE, worst_states)
    register_retention("breaker_transitions", forget_old)


def _register_readiness_checks() -> None:
    from monitoring.readiness_checks import register

    register()


def _start_error_reports() -> None:
    from django.conf import settings

    # The client costs some megabytes a process, spent only where somebody reads the reports.
    if settings.SENTRY_DSN:
        from monitoring import error_reports

        error_reports.start()


def _write_schedule(using: str, **_: Any) -> None:
    """After the last of the migrations, so that beat's tables are there; not after a partial one."""
    from django.db import connections

    from monitoring.schedule import write_schedule

    if "django_celery_beat_periodictask" in connections[using].introspection.table_names():
        write_schedule(using)
