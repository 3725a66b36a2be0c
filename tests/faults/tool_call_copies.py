"""8 copies of one tool call at the same instant, for a booking and for a transfer, several times over."""

from __future__ import annotations

import json

from tests.faults.callers import Answer, Prepared, all_at_once, booking, tool_call
from tests.faults.evidence import one, without
from tests.faults.rows import Row
from tests.faults.stack import Stack
from tests.guards import ONE_ANSWER

NAME = "tool-call-copies"
COPIES = 8
STARTS = [f"{hour:02d}:{minute:02d}" for hour in range(9, 14) for minute in (0, 30)]
EFFECTS = """
SELECT (SELECT count(*) FROM appointments) + (SELECT count(*) FROM sms_delivery_log)
     + (SELECT count(*) FROM call_commands)
"""


def run(stack: Stack) -> Row:
    return _row(stack)


def control(stack: Stack) -> Row:
    """The same without the unique key of one answer a tool call."""
    with without(stack, ONE_ANSWER):
        return _row(stack)


def _row(stack: Stack) -> Row:
    day = stack.fresh_day()
    bookings = [booking(stack.clinic, day, at) for at in STARTS]
    transfers = [
        tool_call(stack.clinic, "transferCall", {"department": "billing", "summary": "An invoice."})
        for _ in STARTS
    ]
    before = int(one(stack, EFFECTS))
    answers = [_copies(stack, prepared) for prepared in (*bookings, *transfers)]
    effects = int(one(stack, EFFECTS)) - before
    unequal = sum(len({_text(answer) for answer in copies}) > 1 for copies in answers)
    faults = sum(not answer.booked for copies in answers for answer in copies)
    # A booking leaves a visit and a text behind, a transfer one command.
    wanted = 2 * len(bookings) + len(transfers)
    figures = (
        f"{len(bookings)} bookings and {len(transfers)} transfers, each sent {COPIES} times at once: {effects} "
        f"effects of {wanted} wanted, {unequal} answered unequally, {faults} faults"
    )
    return Row(NAME, figures, effects == wanted and not unequal and not faults)


def _copies(stack: Stack, prepared: Prepared) -> list[Answer]:
    return all_at_once(stack.options.port, [prepared] * COPIES)


def _text(answer: Answer) -> str:
    return json.dumps(answer.result, sort_keys=True) if answer.result is not None else answer.fault
