"""``GET /api/monitoring/circuit-breakers``: every circuit as it stands."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from monitoring.access import monitoring_access
from monitoring.breaker import reports
from monitoring.circuits import CircuitReport


@monitoring_access
@require_safe
def circuit_breakers(request: HttpRequest) -> JsonResponse:
    """Each service's own circuit (``orgId`` null), then those of clinics that are not simply well."""
    return JsonResponse({"breakers": [_as_json(report) for report in reports()]})


def _as_json(report: CircuitReport) -> dict[str, Any]:
    return {
        "service": report.service,
        "orgId": report.clinic,
        "state": report.state.value,
        "failures": report.failures,
        "openedAt": _moment(report.opened_at),
        "nextProbeAt": _moment(report.next_probe_at),
    }


def _moment(unix_seconds: float | None) -> str | None:
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat() if unix_seconds else None
