"""What a text's ``priority`` says: which texts go before it, and whether it can wait.

A text that was asked for and that is put back with thousands of others stands behind what is asked for meanwhile. It is
still one that somebody waits for: quiet hours and the month's shares do not count it among the texts to many.
"""

from __future__ import annotations

from django.db.models import Case, F, IntegerField, When

from messaging.manners.automatic import CLOSED_KEY, HELP_KEY
from messaging.models import Message
from messaging.states import MessageKind

ASKED_FOR, TIMED, BULK, ASKED_FOR_PUT_BACK = 0, 1, 2, 3
CAN_WAIT = frozenset({TIMED, BULK})
ANSWERS = (HELP_KEY.format(""), CLOSED_KEY.format(""))

# For many rows at once: what was asked for goes behind, and all else keeps the place that it has.
BEHIND = Case(
    When(priority=ASKED_FOR, then=ASKED_FOR_PUT_BACK), default=F("priority"), output_field=IntegerField()
)


def as_it_was(message: Message) -> int:
    """The priority with which the text was written."""
    return ASKED_FOR if message.priority == ASKED_FOR_PUT_BACK else message.priority


def can_wait(message: Message) -> bool:
    """Nobody is waiting for it: it is told by the clinic's clock, not in answer to a wish. A machine's answer stands
    behind others and is waited for all the same."""
    if message.dedupe_key.startswith(ANSWERS):
        return False
    return message.priority in CAN_WAIT or message.kind == MessageKind.REMINDER
