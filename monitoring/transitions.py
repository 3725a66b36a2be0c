"""Each change of a circuit, written down once and told to a person: by the process whose question made it."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from uuid import UUID

import structlog
from django.utils import timezone

from monitoring.alerts import Severity, alert
from monitoring.aside import aside
from monitoring.circuits import COOL_DOWN_SECONDS, PLATFORM, CircuitState, Level, Transition
from monitoring.models import BreakerTransition
from voxanne.tenancy.scope import platform_scope

logger = structlog.get_logger(__name__)

KEPT = timedelta(days=90)


def note(service: str, org_id: UUID | None, transition: Transition, *, shared: bool) -> None:
    """Returns at once; ``shared`` is False for a circuit of this process alone, while Redis is away."""
    clinic = org_id if transition.level == Level.CLINIC else None
    aside("breaker transition", partial(_write, service, clinic, transition, shared))
    logger.warning(
        "breaker_transition",
        service=service,
        level=transition.level.value,
        org_id=str(clinic) if clinic else None,
        state=transition.state.value,
        shared=shared,
    )
    _tell(service, clinic, transition)


def _write(service: str, org_id: UUID | None, transition: Transition, shared: bool) -> None:
    with platform_scope("note a breaker's transition"):
        BreakerTransition.objects.create(
            service=service,
            org_id=org_id,
            level=transition.level.value,
            state=transition.state.value,
            shared=shared,
        )


def _tell(service: str, org_id: UUID | None, transition: Transition) -> None:
    whose, name = _whose(org_id, transition.level)
    facts: dict[str, str | int] = {"service": service, "cool_down_seconds": round(COOL_DOWN_SECONDS)}
    if transition.state == CircuitState.OPEN:
        severity = Severity.WARNING if transition.level == Level.CLINIC else Severity.CRITICAL
        alert(
            severity,
            f"breaker:{service}:{name}",
            f"{service} is failing {whose}; calls wait.",
            **facts,
        )
    elif transition.state == CircuitState.CLOSED:
        fingerprint = f"breaker-closed:{service}:{name}"
        alert(Severity.INFO, fingerprint, f"{service} works again {whose}.", service=service)


def _whose(org_id: UUID | None, level: Level) -> tuple[str, str]:
    """Whose calls wait, in words and as a name. The platform's own calls have a circuit like a clinic's."""
    if level == Level.SERVICE:
        return "for every clinic", "all"
    return (f"for clinic {org_id}", str(org_id)) if org_id else ("for our own calls", PLATFORM)


def forget_old() -> int:
    """Retention: transitions are kept for 90 days."""
    with platform_scope("forget old breaker transitions"):
        removed, _ = BreakerTransition.objects.filter(at__lt=timezone.now() - KEPT).delete()
    return removed
