"""Celery's side of telephony's periodic work."""

from __future__ import annotations

from celery import shared_task

from telephony import reconciliation, retention
from telephony.vapi.calls_api import VapiAway


@shared_task(name="telephony.tasks.forget_payloads")
def forget_payloads() -> int:
    """Blanks what webhooks said a day ago and more."""
    return retention.forget_payloads()


@shared_task(name="telephony.tasks.reconcile_calls")
def reconcile_calls() -> None:
    """Asks Vapi for the calls whose ends never arrived. Raises VapiAway where it could not be asked: the job has
    not run through then, and its next run looks back further."""
    if not reconciliation.reconcile().complete:
        raise VapiAway("Vapi stopped answering before all calls were listed.")
