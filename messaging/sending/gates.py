"""What may keep a text from going out now: each gate is asked in the claim's transaction, just before the try.

A gate never waits and writes nothing that a rollback must undo. A text that one holds back stays ``queued``, uses no
attempt, and is looked at again after ``Hold.wait``; the reason is shown to people in ``last_error``.
"""

from __future__ import annotations

from datetime import datetime

from messaging.manners.budget import within_budget
from messaging.manners.quiet_hours import waits_at_night
from messaging.models import Message
from messaging.sending.holds import Gate, Hold, Taken, Undecided
from messaging.sending.pace import paced
from messaging.states import MessageState
from voxanne.durable.settlement import Settlement
from voxanne.tenancy.plan_cache import ClinicKey

__all__ = ["GATES", "Gate", "Hold", "Taken", "Undecided", "held_by_gate", "too_late"]

LATE = "Its time had passed before it could be sent. "

# In this order; the first that holds a text back decides. Those that take something up stand last, and what one took is
# given back where a later one holds the text: a text that waits for its place in a sender's pace uses nobody's minute.
GATES: tuple[Gate, ...] = (waits_at_night, within_budget, paced)


def held_by_gate(
    message: Message, clinic: ClinicKey, now: datetime, undecided: Undecided = ()
) -> Settlement | None:
    """How a text that may not go out now is put back; None when it may. A text whose time would be over by then has
    expired. ``undecided`` are the texts that were begun with it and not let through, itself among them."""
    taken: list[Taken] = []
    for gate in GATES:
        found = gate(message, clinic, now, undecided)
        if isinstance(found, Hold):
            for one in taken:
                one.give_back()
            return _put_back(message, found, now)
        if found is not None:
            taken.append(found)
    return None


def too_late(message: Message) -> str:
    """Why a text that is due only now is sent no more: with what kept it, where something did."""
    return f"{LATE}{message.last_error}" if message.last_error else "Its time had passed."


def _put_back(message: Message, hold: Hold, now: datetime) -> Settlement:
    left = message.expires_at - now
    if hold.wait >= left and not hold.may_end_sooner:
        return Settlement(MessageState.EXPIRED, error=LATE + hold.reason, uses_attempt=False)
    return Settlement(
        MessageState.QUEUED,
        wait=min(hold.wait, left),
        error=hold.reason,
        uses_attempt=False,
        columns=hold.columns,
    )
