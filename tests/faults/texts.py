"""Bookings that each leave a text behind, and whether those texts lie on the phones."""

from __future__ import annotations

from datetime import datetime
from itertools import islice, product

from tests.faults import evidence
from tests.faults.callers import Answer, booking, one_after_another
from tests.faults.stack import Stack
from voxanne.runtime.faults import RuntimeFault

STARTS = [f"{hour:02d}:{minute:02d}" for hour in range(9, 17) for minute in (0, 30)]
LOOK_SECONDS = 0.25


def book_texts(stack: Stack, number: int) -> list[Answer]:
    """Books ``number`` visits at times of their own, by new callers. Raises RuntimeFault unless all are granted."""
    providers = [provider["id"] for provider in stack.clinic["providers"]]
    days = [stack.fresh_day() for _ in range(-(-number // (len(STARTS) * len(providers))))]
    wanted = islice(product(days, STARTS, providers), number)
    wishes = [booking(stack.clinic, day, at, provider=provider) for day, at, provider in wanted]
    answers = one_after_another(stack.options.port, wishes)
    refused = [answer for answer in answers if not answer.booked]
    if refused:
        raise RuntimeFault(f"{len(refused)} of {number} bookings were not granted: {refused[0]}")
    return answers


def all_ended(stack: Stack, mark: datetime, ended: frozenset[str]) -> bool:
    """Whether every text written since ``mark`` is in one of these states, those ``sent`` only where Twilio told of no
    receipt. Worth asking every ``LOOK_SECONDS``."""
    states = evidence.states_since(stack, mark)
    return set(states) <= ended and states["sent"] <= stack.sandbox.struck("no_receipts")


def copies_on_phones(stack: Stack, mark: datetime) -> list[int]:
    """For each text written since ``mark``: how often it lies on its phone."""
    phones = stack.sandbox.phones()
    return [phones[recipient, body] for recipient, body, _ in evidence.texts_since(stack, mark)]
