"""Each change of a circuit, written down once and told to a person: by the process whose question made it."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from uuid import UUID

import structlog
from django.db import DatabaseError
from django.utils import timezone

from monitoring.alerts import Severity, alert, is_over
from monitoring.aside import aside
from monitoring.circuits import COOL_DOWN_SECONDS, PLATFORM, CircuitState, Level, Transition
from monitoring.models import BreakerTransition
from monitoring.service_words import name_of, name_of_clinic, what_waits
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
    # It looks up the clinic's name.
    aside("breaker alert", partial(_tell, service, clinic, transition))


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
    """Opening and closing end each other's window, so that the last word told is the last that happened."""
    name = _name_of_circuit(org_id, transition.level)
    opening, closing = f"breaker:{service}:{name}", f"breaker-closed:{service}:{name}"
    if transition.state == CircuitState.OPEN:
        severity = Severity.WARNING if transition.level == Level.CLINIC else Severity.CRITICAL
        said = f"{name_of(service)} is failing: {what_waits(service)} of {_whose(org_id, transition.level)} wait."
        is_over(closing)
        alert(severity, opening, said, service=service, cool_down_seconds=round(COOL_DOWN_SECONDS))
    elif transition.state == CircuitState.CLOSED:
        said = f"{name_of(service)} works again: {what_waits(service)} of {_whose(org_id, transition.level)} go on."
        is_over(opening)
        alert(Severity.INFO, closing, said, service=service)


def _name_of_circuit(org_id: UUID | None, level: Level) -> str:
    if level == Level.SERVICE:
        return "all"
    return str(org_id) if org_id else PLATFORM


def _whose(org_id: UUID | None, level: Level) -> str:
    """The platform's own calls have a circuit like a clinic's."""
    if level == Level.SERVICE:
        return "every clinic"
    if org_id is None:
        return "our own"
    try:
        with platform_scope("name a clinic in an alert"):
            return name_of_clinic(org_id)
    except DatabaseError:
        return f"clinic {org_id}"


def forget_old() -> int:
    """Retention: transitions are kept for 90 days."""
    with platform_scope("forget old breaker transitions"):
        removed, _ = BreakerTransition.objects.filter(at__lt=timezone.now() - KEPT).delete()
    return removed
