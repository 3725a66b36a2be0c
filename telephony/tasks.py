"""Celery's side of the periodic work on calls."""

from __future__ import annotations

from typing import Any

from celery import current_app, shared_task
from celery.signals import worker_ready

from telephony import call_polling, line_keeping, unheard_calls


@shared_task(name="telephony.tasks.check_missed_calls")
def check_missed_calls() -> None:
    """Looks up the calls whose outcome nobody told us, those that rang while the database was away among them."""
    unheard_calls.take_in()
    call_polling.check_missed_calls()


@shared_task(name="telephony.tasks.keep_last_known_lines")
def keep_last_known_lines() -> int:
    """Keeps every number's line outside the database."""
    return line_keeping.refresh_all()


@worker_ready.connect
def _keep_lines_at_once(**_: Any) -> None:
    """A fresh folder need not stay empty for a period."""
    current_app.send_task(keep_last_known_lines.name, expires=60, retry=False)
