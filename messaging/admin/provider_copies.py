"""A try's request and the provider's answer, in words for people: what was kept of them, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from messaging.models import DeliveryAttempt
from voxanne.staff.columns import NOTHING, short_span

OUTCOMES = {
    "": "Under way",
    "accepted": "Taken",
    "never_connected": "Not reached",
    "refused_for_now": "Refused for now",
    "refused_for_good": "Refused for good",
    "opted_out": "Opted out",
    "lost": "Answer lost",
}


def outcome_in_words(attempt: DeliveryAttempt) -> str:
    return OUTCOMES.get(attempt.outcome, attempt.outcome.replace("_", " ").capitalize())


def request_in_words(attempt: DeliveryAttempt) -> str:
    """ "To •••0142 from •••0100, 57 characters in 1 segment (GSM-7), good for 2 h"."""
    kept: dict[str, Any] = attempt.request or {}
    if not kept:
        return NOTHING
    parts = int(kept.get("segments", 1))
    size = f"{kept.get('characters', 0)} characters in {parts} segment{'' if parts == 1 else 's'}"
    good_for = short_span(timedelta(seconds=int(kept.get("validSeconds", 0))))
    said = (
        f"To {kept.get('to')} from {kept.get('from')}, {size} ({kept.get('encoding')}), good for {good_for}"
    )
    return f"{said}. Redirected to the number for rehearsals." if kept.get("redirected") else said


def answer_in_words(attempt: DeliveryAttempt) -> str:
    """ "HTTP 400, code 21614"."""
    kept: dict[str, Any] = attempt.answer or {}
    told = [f"HTTP {kept['http']}"] if "http" in kept else []
    told += [f"code {kept['code']}"] if "code" in kept else []
    told += [str(kept["status"])] if "status" in kept else []
    told += [str(kept["sid"])] if "sid" in kept else []
    told += [f"try again after {kept['retryAfter']:g} s"] if "retryAfter" in kept else []
    told += [f"then {kept['then']}"] if "then" in kept else []
    told += [f"code {kept['thenCode']}"] if "thenCode" in kept else []
    return ", ".join(told) or NOTHING
