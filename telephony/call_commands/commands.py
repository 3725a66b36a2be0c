"""What the agent's call is told to do after an answer: be put through, or end. Durable, so a lost hint or a
stopped worker leaves no caller waiting on a dead promise."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from telephony.call_commands.states import CommandState
from telephony.models import Call, CallCommand
from telephony.vapi import control
from voxanne.durable.hints import hint_on_commit
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import WorkKind

COMMAND_WORK = "call-command"
COMMAND_QUEUE = "calls"
# The tool's answer must reach Vapi before the command does.
AFTER_ANSWER = timedelta(milliseconds=400)
# The goodbye is Vapi's to speak and to end on; this is the net under it.
AFTER_GOODBYE = timedelta(seconds=8)
# What staff order from their screen follows no answer.
AT_ONCE = timedelta(0)
USEFUL_FOR = timedelta(minutes=2)
RETRY_WAIT = timedelta(seconds=1)
MOST_ATTEMPTS = 5


def queue_transfer(org_id: UUID, call_id: UUID, number: str, sentence: str) -> None:
    """Puts the caller through to ``number`` (E.164) once the answer has gone out."""
    destination = {"type": "number", "number": number, "message": ""}
    _queue(
        org_id, call_id, {"type": "transfer", "destination": destination, "content": sentence}, AFTER_ANSWER
    )


def queue_end(org_id: UUID, call_id: UUID) -> None:
    """Ends the call, should it still be up after its goodbye."""
    _queue(org_id, call_id, {"type": "end-call"}, AFTER_GOODBYE)


def order_say(org_id: UUID, call_id: UUID, sentence: str) -> None:
    """Has the agent say a sentence, at once: staff are listening."""
    _queue(org_id, call_id, {"type": "say", "content": sentence, "endCallAfterSpoken": False}, AT_ONCE)


def order_transfer(org_id: UUID, call_id: UUID, number: str, sentence: str) -> None:
    """Puts the caller through to ``number`` (E.164) at once."""
    destination = {"type": "number", "number": number, "message": ""}
    _queue(org_id, call_id, {"type": "transfer", "destination": destination, "content": sentence}, AT_ONCE)


def order_end(org_id: UUID, call_id: UUID) -> None:
    """Ends the call at once."""
    _queue(org_id, call_id, {"type": "end-call"}, AT_ONCE)


def _queue(org_id: UUID, call_id: UUID, body: dict[str, Any], after: timedelta) -> None:
    command = CallCommand.objects.create(
        org_id=org_id, call_id=call_id, body=body, next_attempt_at=timezone.now() + after
    )
    hint_on_commit(COMMAND_WORK, COMMAND_QUEUE, org_id, command.pk, countdown=after.total_seconds())


def prepare(command: CallCommand) -> str:
    """The call's control address, or blank when it has ended meanwhile."""
    return "" if command.call.status == Call.Status.ENDED else command.call.control_url


def perform(command: CallCommand, control_url: str) -> Settlement:
    """Sends the command to the call's control address, if that address is one of Vapi's."""
    if not control_url:
        return Settlement(CommandState.DONE, error="The call had ended, or has no control address.")
    if timezone.now() - command.created_at > USEFUL_FOR:
        return Settlement(CommandState.DEAD, error="It came too late to be wanted: the caller has talked on.")
    try:
        control.send(control_url, command.body)
    except control.ControlFault as fault:
        if fault.permanent or command.attempts + 1 >= MOST_ATTEMPTS:
            return Settlement(CommandState.DEAD, error=str(fault))
        return Settlement(CommandState.QUEUED, error=str(fault), wait=RETRY_WAIT)
    return Settlement(CommandState.DONE)


CALL_COMMAND = WorkKind(
    name=COMMAND_WORK,
    model=CallCommand,
    prepare=prepare,
    perform=perform,
    lease=timedelta(seconds=20),
    queue=COMMAND_QUEUE,
    # Somebody is on the line: most of the worker's threads, for as long as Vapi keeps them waiting.
    threads=12,
)
