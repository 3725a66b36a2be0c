"""The open addresses: who we are, and whether we are well (contract, section 2)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from monitoring import redis_link
from monitoring.alerts import Severity, alert
from monitoring.apps import STARTED
from monitoring.database_probe import DatabaseReport, probe
from monitoring.heartbeats import BEAT, STALE_SECONDS, WORKER, background_jobs_live, is_live
from monitoring.limits import ANONYMOUS, limited

# A stack that has only just started has had no time to show life.
SILENCE_SECONDS = STALE_SECONDS + 30


@dataclass(frozen=True, slots=True)
class Health:
    """One look at everything this server leans on."""

    database: DatabaseReport
    redis: bool
    background_jobs: bool

    @property
    def status(self) -> str:
        """``error`` without the database; ``degraded`` without Redis, a worker or beat: bookings go on, and
        no text goes out until Redis and a worker are back."""
        if not self.database.reachable:
            return "error"
        return "ok" if self.redis and self.background_jobs else "degraded"


def tell_of_silence(found: Health) -> None:
    """Whoever asks for our health finds out, too, that nobody works in the background."""
    up = time.monotonic() - STARTED
    if found.database.migrated and not found.background_jobs and up > SILENCE_SECONDS:
        ages = found.database.heartbeat_ages
        silent = {f"{job}_seconds": round(ages[job]) for job in (BEAT, WORKER) if job in ages}
        alert(Severity.CRITICAL, "background-silent", _silence(ages), **silent)


def _silence(ages: Mapping[str, float]) -> str:
    """Beat's own sign of life is written by a worker: without one it says nothing of beat."""
    if is_live(ages, WORKER):
        return "Beat shows no life: start it. A worker stands in for it meanwhile."
    return (
        "No worker shows life: no text goes out. See whether it runs and Redis answers."
        " Whether beat lives cannot be told without a worker."
    )


def look() -> Health:
    database = probe().report()
    return Health(
        database=database,
        redis=redis_link.link().answers(),
        background_jobs=background_jobs_live(dict(database.heartbeat_ages)),
    )


@limited(ANONYMOUS)
@require_safe
def index(request: HttpRequest) -> JsonResponse:
    """Name, version and where to go from here."""
    links = {name: f"{settings.BACKEND_URL}{path}" for name, path in LINKS.items()}
    return JsonResponse({"name": "Voxanne", "version": settings.VERSION, "links": links})


LINKS = {"health": "/health", "admin": "/admin/", "docs": "/api/docs/", "schema": "/api/schema/"}


@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Everything at a glance; 503 only when the database is down."""
    found = look()
    tell_of_silence(found)
    body: dict[str, Any] = {
        "status": found.status,
        "database_size_mb": found.database.size_mb,
        "services": {
            "database": found.database.reachable,
            "redis": found.redis,
            "backgroundJobs": found.background_jobs,
        },
        "timestamp": timezone.now().isoformat(),
        "uptime": round(time.monotonic() - STARTED, 1),
    }
    return JsonResponse(body, status=200 if found.database.reachable else 503)


@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """The process answers; nothing else is asked."""
    return JsonResponse({"status": "ok", "timestamp": timezone.now().isoformat()})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 when calls can be answered: the database is reachable and migrated."""
    found = look()
    fit = found.database.reachable and found.database.migrated
    body = {
        "status": found.status if fit else "error",
        "database": found.database.reachable,
        "migrated": found.database.migrated,
        "timestamp": timezone.now().isoformat(),
    }
    return JsonResponse(body, status=200 if fit else 503)
