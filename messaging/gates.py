"""What may keep a text from going out now: each gate is asked in the claim's transaction, just before the try.

A gate never waits and writes nothing that a rollback must undo. A text that one holds back stays ``queued``, uses no
attempt, and is looked at again after ``Hold.wait``; the reason is shown to people in ``last_error``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from messaging.holds import Hold
from messaging.models import Message
from messaging.pace import paced
from messaging.states import MessageState
from voxanne.durable.settlement import Settlement
from voxanne.tenancy.plan_cache import ClinicKey

LATE = "Its time had passed before it could be sent. "


Gate = Callable[[Message, ClinicKey, datetime], Hold | None]

# In this order; the first that holds a text back decides. Those that take something up (a place in a sender's pace)
# stand last, so that nothing is taken up for a text that another gate holds.
GATES: tuple[Gate, ...] = (paced,)


def held_by_gate(message: Message, clinic: ClinicKey, now: datetime) -> Settlement | None:
    """How a text that may not go out now is put back; None when it may. A text whose time would be over by then has
    expired."""
    for gate in GATES:
        hold = gate(message, clinic, now)
        if hold is not None:
            return _put_back(message, hold, now)
    return None


def _put_back(message: Message, hold: Hold, now: datetime) -> Settlement:
    if now + hold.wait >= message.expires_at:
        return Settlement(MessageState.EXPIRED, error=LATE + hold.reason, uses_attempt=False)
    return Settlement(
        MessageState.QUEUED, wait=hold.wait, error=hold.reason, uses_attempt=False, columns=hold.columns
    )
