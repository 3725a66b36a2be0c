"""Texts of unknown fate: why it is unknown, what is being done about it, and what a person may decide."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from messaging.fates import deciding
from messaging.fates.deciding import Decided, is_open
from messaging.models import Message
from messaging.states import MessageState
from voxanne.staff.asking import Told, WithReason, asks_about_row
from voxanne.staff.columns import clinic_time
from voxanne.staff.people import person
from voxanne.staff.rows import RowButton

MAY_DECIDE = "messaging.decide_message"

MARK_SENT = "Do this when you saw the text in Twilio's log, or the patient has it. It is not looked for any more then."
SEND_AGAIN = (
    "The first one may have left: the patient may then get this text twice. Look at Twilio's log before, or ask the"
    " patient."
)
PAST_ITS_TIME = (
    "Its time has passed, so it was not sent again. Mark it as sent only if you found it; else tell the patient in"
    " another way."
)

ROW_BUTTONS = (
    RowButton("mark_sent", "Mark sent", MAY_DECIDE, is_open),
    RowButton("send_anyway", "Send again", MAY_DECIDE, is_open),
)


def looked_up(message: Message) -> str:
    """What is being done to find out, in sentences for the desk; blank where nothing is."""
    if message.state != MessageState.UNKNOWN:
        return ""
    since = clinic_time(message, message.unknown_since or message.updated_at)
    seen = "Twilio's list has not been read yet"
    if message.first_empty_list_at is not None:
        seen = f"Twilio's list did not show it at {clinic_time(message, message.first_empty_list_at)}"
    asked_next = clinic_time(message, message.next_attempt_at)
    return (
        f"Unknown since {since}. {seen}; it is asked next at {asked_next}. Twilio may have the text, so it is not sent"
        f" again until two of its lists, {settings.MESSAGE_RECONCILE_GAP} seconds apart, do not show it, and not after"
        f" {clinic_time(message, message.expires_at)}."
    )


class UnknownActs:
    """The acts, for the messages' page."""

    @asks_about_row(
        "Mark as sent",
        question="Count this text as sent?",
        explanation=MARK_SENT,
        yes="Yes, it was sent",
        permission=MAY_DECIDE,
        form=WithReason,
        icon="done_all",
    )
    def mark_sent(self, request: HttpRequest, message: Message, given: dict[str, Any]) -> Told:
        done = deciding.mark_sent(message, reason=given["reason"], actor=person(request))
        return _told(message, done, "The text counts as sent.")

    @asks_about_row(
        "Send again",
        question="Send this text again, though it may have left?",
        explanation=SEND_AGAIN,
        yes="Yes, send it again",
        permission=MAY_DECIDE,
        form=WithReason,
        icon="replay",
        grave=True,
    )
    def send_anyway(self, request: HttpRequest, message: Message, given: dict[str, Any]) -> Told:
        done = deciding.send_again(message, reason=given["reason"], actor=person(request))
        return _told(message, done, "The text waits to be sent again.")


def _told(message: Message, decided: Decided, text: str) -> Told:
    match decided:
        case Decided.DONE:
            return Told(text)
        case Decided.TOO_LATE:
            return Told(PAST_ITS_TIME, done=False)
    return Told(
        f'Nothing to decide: the text is marked "{message.get_state_display()}" now.',
        done=False,
    )
