"""What became of a text, in a sentence that a receptionist can act on."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from messaging.fates.deciding import is_counted
from messaging.fates.silent import ASKED_FOR
from messaging.models import Message
from messaging.states import MessageState

# Where nothing more particular is known.
OF_STATE = {
    MessageState.QUEUED: "It waits for its time.",
    MessageState.SENDING: "It is being handed to Twilio.",
    MessageState.UNKNOWN: "Twilio's answer was lost; it is being looked up there and not sent again meanwhile.",
    MessageState.SENT: "The carrier has it; whether it arrived is not known yet.",
    MessageState.DELIVERED: "It arrived.",
    MessageState.DEAD_LETTER: "It could not be delivered.",
    MessageState.SUPPRESSED: "The patient opted out of texts.",
    MessageState.EXPIRED: "Its time passed before it could be sent.",
    MessageState.CANCELED: "It was no longer needed.",
}
# What these say of themselves is said better by their state: the last error was of a try that was made good since.
GOOD = (MessageState.SENT, MessageState.DELIVERED)


OVERDUE = timedelta(seconds=30)
HELD_UP = "It is due and waits for the background work, which is behind or has stopped."
COUNTED = "A person counted it as sent; no word of the carrier's is known."
NEVER_TOLD = "The carrier has it and never said whether it arrived; ask the patient if it matters."


def reason(message: Message) -> str:
    state = MessageState(message.state)
    if is_counted(message):
        return COUNTED
    if state == MessageState.SENT and (message.sent_at or message.created_at) < timezone.now() - ASKED_FOR:
        return NEVER_TOLD
    if state == MessageState.QUEUED and message.next_attempt_at < timezone.now() - OVERDUE:
        return HELD_UP
    return OF_STATE[state] if state in GOOD else (message.last_error or OF_STATE[state])
