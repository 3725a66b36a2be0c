"""Celery's side of the periodic work on calls."""

from __future__ import annotations

from typing import Any

from celery import current_app, shared_task
from celery.signals import worker_ready

from telephony.call_records import reconciliation
from telephony.missed_calls import polling
from telephony.never_dead import line_keeping, unheard_calls
from telephony.vapi.rest import VapiFault
from telephony.webhooks import retention


@shared_task(name="telephony.tasks.check_missed_calls")
def check_missed_calls() -> None:
    """Looks up the calls whose outcome nobody told us, those that rang while the database was away among them."""
    unheard_calls.take_in()
    polling.check_missed_calls()


@shared_task(name="telephony.tasks.keep_last_known_lines")
def keep_last_known_lines() -> int:
    """Keeps every number's line outside the database."""
    return line_keeping.refresh_all()


@shared_task(name="telephony.tasks.forget_payloads")
def forget_payloads() -> int:
    """Blanks what webhooks said a day ago and more."""
    return retention.forget_payloads()


@shared_task(name="telephony.tasks.reconcile_calls")
def reconcile_calls() -> None:
    """Asks Vapi for the calls whose ends never arrived. Raises VapiFault where it could not be asked: the job has
    not run through then, and its next run looks back further."""
    if not reconciliation.reconcile().complete:
        raise VapiFault("Vapi stopped answering before all calls were listed.")


@worker_ready.connect
def _keep_lines_at_once(**_: Any) -> None:
    """A fresh folder need not stay empty for a period."""
    current_app.send_task(keep_last_known_lines.name, expires=60, retry=False)
