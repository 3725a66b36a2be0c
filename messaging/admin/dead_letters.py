"""Dead letters: a person puts them back in the queue, or gives them up with a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from messaging.models import Message
from messaging.states import MessageState
from messaging.undelivered.dead_letters import Redriven, discard, is_in_doubt, redrive
from messaging.undelivered.redrive_chances import TO_DECIDE, Chance, chance_of, judge, sending_of
from voxanne.staff.asking import Told, WithReason, asks_about_row, asks_about_rows
from voxanne.staff.people import person
from voxanne.staff.rows import RowButton

MAY_REDRIVE = "messaging.redrive_message"
MAY_DISCARD = "messaging.discard_message"
MOST_COUNTED = 99

REDRIVE = "The text is tried again as if it were new. Mend what kept it from arriving first, or it will end here again."
REASON_KEPT = " Say why: it is kept in the audit trail."
TOO_LATE = (
    "Its time has passed, or what it was about no longer stands: it was not sent again. Discard it instead."
)
DISCARD = (
    "It will not be sent, and it no longer asks for attention. Tell the patient in another way if it matters."
)


def explain_redrive(request: HttpRequest, message: Message) -> str:
    """What sending this text again would come to, as far as anybody can tell."""
    judged = judge(message, sending_of([message.org_id])[message.org_id], timezone.now())
    return f"{judged.why} {REDRIVE}{REASON_KEPT}"


def explain_redrive_of(request: HttpRequest, messages: Sequence[Message]) -> str:
    """The same of several: how many of them it cannot help."""
    now = timezone.now()
    chances = [chance_of(message, now) for message in messages if is_dead(message)]
    late, hopeless = chances.count(Chance.TOO_LATE), chances.count(Chance.NO)
    return " ".join((*vain(late, hopeless, "leave them out"), REDRIVE + REASON_KEPT))


def vain(late: int, hopeless: int, advice: str) -> list[str]:
    """Sentences for those that sending again cannot help."""
    told = []
    if late:
        told.append(f"The time of {late} of them is over: {'it is' if late == 1 else 'they are'} left alone.")
    if hopeless:
        told.append(
            f"{hopeless} of them would be refused again as they are, such as those to landlines: {advice}."
        )
    return told


def is_dead(message: Message) -> bool:
    return message.state == MessageState.DEAD_LETTER


def may_go_again(message: Message) -> bool:
    """One of which nobody knows whether it arrived has a button of its own, which warns."""
    return is_dead(message) and not is_in_doubt(message)


ROW_BUTTONS = (
    RowButton("redrive", "Send again", MAY_REDRIVE, may_go_again),
    RowButton("discard", "Discard", MAY_DISCARD, is_dead),
)


class DeadLetterActs:
    """The acts, for the messages' page."""

    @asks_about_row(
        "Send again",
        question="Send this text again?",
        explanation=explain_redrive,
        yes="Yes, send it again",
        permission=MAY_REDRIVE,
        form=WithReason,
        icon="replay",
    )
    def redrive(self, request: HttpRequest, message: Message, given: dict[str, Any]) -> Told:
        match redrive(message.pk, given["reason"], actor=person(request)):
            case Redriven.DONE:
                return Told("The text waits to be sent again.")
            case Redriven.IN_DOUBT:
                return Told(f"Not sent again. {TO_DECIDE}", done=False)
            case Redriven.TOO_LATE:
                return Told(
                    TOO_LATE,
                    done=False,
                )
        return Told(
            f'Nothing to send again: the text is marked "{message.get_state_display()}" now.', done=False
        )

    @asks_about_row(
        "Discard",
        question="Discard this text?",
        explanation=DISCARD,
        yes="Yes, discard it",
        permission=MAY_DISCARD,
        form=WithReason,
        icon="delete_sweep",
        grave=True,
    )
    def discard(self, request: HttpRequest, message: Message, given: dict[str, Any]) -> Told:
        if discard(message, reason=given["reason"], actor=person(request)):
            return Told("The text is discarded.")
        return Told(
            f'Nothing to discard: the text is marked "{message.get_state_display()}" now.', done=False
        )

    @asks_about_rows(
        "Send selected again",
        question="Send these texts again?",
        explanation=explain_redrive_of,
        yes="Yes, send them again",
        permission=MAY_REDRIVE,
        form=WithReason,
    )
    def redrive_selected(
        self, request: HttpRequest, messages: Sequence[Message], given: dict[str, Any]
    ) -> Told:
        actor = person(request)
        why = given["reason"]
        came_to = Counter(redrive(message.pk, why, actor=actor) for message in messages)
        otherwise = "their time has passed, or they have gone out meanwhile"
        in_doubt = came_to[Redriven.IN_DOUBT]
        told = _told(came_to[Redriven.DONE], len(messages) - in_doubt, "to be sent again", otherwise)
        return replace(told, text=f"{told.text} {left_in_doubt(in_doubt)}") if in_doubt else told

    @asks_about_rows(
        "Discard selected",
        question="Discard these texts?",
        explanation=DISCARD,
        yes="Yes, discard them",
        permission=MAY_DISCARD,
        form=WithReason,
        grave=True,
    )
    def discard_selected(
        self, request: HttpRequest, messages: Sequence[Message], given: dict[str, Any]
    ) -> Told:
        actor = person(request)
        done = sum(discard(message, reason=given["reason"], actor=actor) for message in messages)
        return _told(
            done, len(messages), "discarded", "they have gone out meanwhile, or were discarded before"
        )


def left_in_doubt(number: int) -> str:
    """What is said of texts that a person has to decide about, one by one."""
    return (
        f"{number:,} left alone because nobody knows whether they arrived: decide about each on its own page."
    )


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
