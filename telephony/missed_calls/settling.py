"""The only way a call is found missed (contract, section 4): noted when it rings, settled once when it is over.

However many paths see a call end (the dial's result, the number's status, the poller, repeats of each), a
compare-and-swap on its row lets one settle it. That one writes the caller's text and the staff's task in the same
transaction: a call counts as handled only when its text is durable.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from bookings.plan import ClinicPlan
from messaging.models import Message
from messaging.staff_tasks import tell_staff
from messaging.states import TaskKind
from monitoring import metrics
from telephony.missed_calls.lines import Line
from telephony.missed_calls.text_backs import text_back
from telephony.models import ActiveCall
from voxanne.statements import Statement
from voxanne.tenancy.ids import new_id

Outcome = ActiveCall.Outcome
Path = ActiveCall.Path
Text = ActiveCall.Text

NOTE = Statement("""
INSERT INTO active_calls
    (id, org_id, number_id, call_sid, from_number, to_number, mode, stage, whisper, dial_call_sid, dialled_at,
     processed, outcome, settled_by, text, created_at)
VALUES (%(id)s, %(org)s, %(number_id)s, %(call_sid)s, %(from)s, %(to)s, %(mode)s, %(stage)s, '', '',
        now(), false, '', '', '', now())
ON CONFLICT (call_sid) DO NOTHING
RETURNING id
""")

TOLD_OF_TEXT = {
    Text.QUEUED: "A text is on its way to the caller; Messages shows whether it arrived.",
    Text.SUPPRESSED: "The caller takes no texts from the clinic: ring back.",
    Text.WITHHELD: "The caller withheld the number.",
    Text.LANDLINE: "The caller rang from a landline, which takes no texts: ring back.",
    Text.NO_SENDER: "No text went out: the clinic has no number to text from.",
}
GIVEN_UP = "What became of a call was never told: it may have been missed. Ring back."


@dataclass(frozen=True, slots=True)
class Incoming:
    """A call as Twilio names it."""

    call_sid: str
    caller: str
    dialled: str


@dataclass(frozen=True, slots=True)
class Settled:
    """``done`` is False where the call had been settled before; then nothing was changed."""

    done: bool
    text: Text | None = None


def note_call(org_id: UUID, line: Line, call: Incoming, stage: str) -> ActiveCall | None:
    """The call's row, made when new. Inside the clinic's scope. None when the id names a call of another clinic."""
    values = {
        "id": new_id(),
        "org": org_id,
        "number_id": line.number_id,
        "call_sid": call.call_sid,
        "from": call.caller,
        "to": line.number,
        "mode": line.mode,
        "stage": stage,
    }
    NOTE.run(values)
    found: ActiveCall | None = ActiveCall.objects.filter(org_id=org_id, call_sid=call.call_sid).first()
    return found


def go_on_to_assistant(call: ActiveCall, dial_call_sid: str) -> None:
    """Nobody at the clinic took the call; the assistant is rung next. Said twice, it is done once."""
    waiting = ActiveCall.objects.filter(pk=call.pk, processed=False, stage=ActiveCall.Stage.CLINIC)
    waiting.update(
        stage=ActiveCall.Stage.ASSISTANT, dial_call_sid=dial_call_sid, dialled_at=timezone.now(), whisper=""
    )


def heed_whisper(call_id: UUID, answer: ActiveCall.Whisper) -> None:
    """Remembers what the callee pressed; an answer is not taken back by the question's being asked again."""
    rows = ActiveCall.objects.filter(pk=call_id)
    if answer is ActiveCall.Whisper.ASKED:
        rows = rows.filter(whisper="")
    rows.update(whisper=answer)


def settle(
    call: ActiveCall,
    outcome: Outcome,
    path: Path,
    plan: ClinicPlan,
    *,
    dial_call_sid: str = "",
    ended_at: datetime | None = None,
) -> Settled:
    """Settles the call, with its text and the staff's task where it was missed. Inside the clinic's scope.

    One of any number of attempts does it; an outcome found for a stage that the call has left settles nothing.
    """
    now = timezone.now()
    columns = {
        "processed": True,
        "processed_at": now,
        "outcome": outcome,
        "settled_by": path,
        "dial_ended_at": ended_at or now,
        **({"dial_call_sid": dial_call_sid} if dial_call_sid else {}),
    }
    if not _claimed(call, columns):
        if outcome == Outcome.MISSED:
            metrics.count_duplicate("missed_call")
        return Settled(done=False)
    if outcome == Outcome.GIVEN_UP:
        _tell_staff(call, GIVEN_UP)
    if outcome != Outcome.MISSED:
        return Settled(done=True)
    text, message_id = text_back(call, plan, now)
    ActiveCall.objects.filter(pk=call.pk).update(text=text, message_id=message_id)
    if text in TOLD_OF_TEXT:
        _tell_staff(call, f"Nobody took a call. {TOLD_OF_TEXT[text]}")
    transaction.on_commit(partial(metrics.count_missed_call, path.value))
    return Settled(done=True, text=text)


def _claimed(call: ActiveCall, columns: dict[str, object]) -> bool:
    """The compare-and-swap: True for the one path that may settle this call. What the outcome was judged by must still
    hold: a look-up takes a while."""
    unsettled = ActiveCall.objects.filter(pk=call.pk, processed=False, stage=call.stage, whisper=call.whisper)
    return unsettled.update(**columns) == 1


def _tell_staff(call: ActiveCall, text: str) -> None:
    tell_staff(
        call.org_id,
        kind=TaskKind.MISSED_CALL,
        text=text,
        dedupe_key=f"missed-call:{call.call_sid}",
        from_number=call.from_number,
        callback_number=call.from_number,
        about=f"missed:{call.pk}",
    )


def note_first_try(message: Message, at: datetime) -> None:
    """The text's request leaves: how long the caller waited for it is what this whole path is measured by."""
    call = ActiveCall.objects.filter(message_id=message.pk, text_requested_at=None).first()
    if call is None:
        return
    ActiveCall.objects.filter(pk=call.pk).update(text_requested_at=at)
    if call.dial_ended_at is not None:
        metrics.observe_missed_call_text(call.settled_by, (at - call.dial_ended_at).total_seconds())
