"""Dead letters: a person puts them back in the queue, or gives them up with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from messaging.models import Message
from messaging.outbox import SMS_QUEUE, SMS_WORK
from messaging.states import MessageState
from voxanne.durable import work
from voxanne.durable.hints import hint_on_commit
from voxanne.durable.settlement import Settlement
from voxanne.staff.asking import Told, WithReason, asks_about_row, asks_about_rows
from voxanne.staff.audit import record_act
from voxanne.staff.rows import RowButton

MAY_REDRIVE = "messaging.redrive_message"
MAY_DISCARD = "messaging.discard_message"
MOST_COUNTED = 99

REDRIVE = "The text is put back in the queue and tried again as if it were new."
DISCARD = "The text is given up: it will not be sent, and it no longer asks for attention."
# The number at the provider is kept: it tells the old try from the new one when an answer is lost.
FRESH = {"error_code": None, "dead_lettered_at": None, "unknown_since": None, "first_empty_list_at": None}


def is_dead(message: Message) -> bool:
    return message.state == MessageState.DEAD_LETTER


ROW_BUTTONS = (
    RowButton("redrive", "Redrive", MAY_REDRIVE, is_dead),
    RowButton("discard", "Discard", MAY_DISCARD, is_dead),
)


def redrive(request: HttpRequest, message: Message) -> bool:
    """Puts one dead letter back in the queue and says so in the trail. True when this call did it; False when it
    was not dead any more, or its time has passed: a text about what is over would only expire."""
    if message.expires_at <= timezone.now():
        return False
    if not work.redrive(Message, message.org_id, message.pk, FRESH):
        return False
    record_act(request, message, "message.redrive")
    hint_on_commit(SMS_WORK, SMS_QUEUE, message.org_id, message.pk)
    return True


def discard(request: HttpRequest, message: Message, reason: str) -> bool:
    """Gives one dead letter up. True when this call did it; False when it was not dead any more."""
    given_up = Settlement(MessageState.CANCELED, error=message.last_error, uses_attempt=False)
    if not work.move(Message, message.org_id, message.pk, given_up, sources=(MessageState.DEAD_LETTER,)):
        return False
    record_act(request, message, "message.discard", reason)
    return True


class DeadLetterActs:
    """The acts, for the messages' page."""

    @asks_about_row(
        "Redrive",
        question="Send this text again?",
        explanation=REDRIVE,
        yes="Yes, redrive it",
        permission=MAY_REDRIVE,
        icon="replay",
    )
    def redrive(self, request: HttpRequest, message: Message, given: dict[str, Any]) -> Told:
        if redrive(request, message):
            return Told("The text is back in the queue.")
        if not is_dead(message):
            return Told(f"Nothing to redrive: the text is {message.get_state_display().lower()}.", done=False)
        return Told("Its time has passed, so it was not sent again. Discard it instead.", done=False)

    @asks_about_row(
        "Discard",
        question="Give this text up?",
        explanation=DISCARD,
        yes="Yes, discard it",
        permission=MAY_DISCARD,
        form=WithReason,
        icon="delete_sweep",
        grave=True,
    )
    def discard(self, request: HttpRequest, message: Message, given: dict[str, Any]) -> Told:
        if discard(request, message, given["reason"]):
            return Told("The text is discarded.")
        return Told(f"Nothing to discard: the text is {message.get_state_display().lower()}.", done=False)

    @asks_about_rows(
        "Redrive selected",
        question="Send these texts again?",
        explanation=REDRIVE,
        yes="Yes, redrive them",
        permission=MAY_REDRIVE,
    )
    def redrive_selected(
        self, request: HttpRequest, messages: Sequence[Message], given: dict[str, Any]
    ) -> Told:
        done = sum(redrive(request, message) for message in messages)
        return _told(done, len(messages), "redriven", "not a dead letter any more, or their time has passed")

    @asks_about_rows(
        "Discard selected",
        question="Give these texts up?",
        explanation=DISCARD,
        yes="Yes, discard them",
        permission=MAY_DISCARD,
        form=WithReason,
        grave=True,
    )
    def discard_selected(
        self, request: HttpRequest, messages: Sequence[Message], given: dict[str, Any]
    ) -> Told:
        done = sum(discard(request, message, given["reason"]) for message in messages)
        return _told(done, len(messages), "discarded", "not a dead letter any more")


def _told(done: int, asked: int, verb: str, otherwise: str) -> Told:
    text = f"{done} {verb}."
    if done < asked:
        text += f" {asked - done} left alone: {otherwise}."
    return Told(text, done=done > 0)


def open_dead_letters() -> Any:
    """Dead letters of the clinics in scope, none counted that nobody needs to look at."""
    return Message.objects.filter(state=MessageState.DEAD_LETTER)


def badge(request: HttpRequest) -> str:
    """How many dead letters wait for a person, for the sidebar; blank where there are none."""
    number = open_dead_letters().order_by()[: MOST_COUNTED + 1].count()
    if not number:
        return ""
    return f"{MOST_COUNTED}+" if number > MOST_COUNTED else str(number)
