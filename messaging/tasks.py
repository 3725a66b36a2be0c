"""Celery's side of the periodic work on texts."""

from __future__ import annotations

from celery import shared_task

from messaging.fates import silent


@shared_task(name="messaging.tasks.ask_for_receipts")
def ask_for_receipts() -> None:
    """Asks Twilio about texts whose last receipt never came."""
    silent.ask_for_receipts()
