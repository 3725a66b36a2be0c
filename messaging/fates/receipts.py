"""Delivery receipts: the provider's later word on a message, applied forward only, in whatever order it comes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import IntegrityError
from django.utils import timezone

from messaging.fates import resending
from messaging.fates.deciding import is_counted
from messaging.manners import consent
from messaging.models import Message
from messaging.outbox import wake
from messaging.providers.answers import TryOutcome
from messaging.providers.twilio import outcomes
from messaging.sending import pauses, tries, whatsapp
from messaging.states import MessageState
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import move
from voxanne.model_rows import columns_of, instance_of
from voxanne.statements import Statement
from voxanne.tenancy.scope import org_scope

ARRIVED = frozenset({"delivered", "read"})
# Before these nobody knows that Twilio has the text; the first receipt says so.
OPEN = frozenset({MessageState.QUEUED, MessageState.SENDING, MessageState.UNKNOWN})
# A text that waits longer is found by the sweeper.
LONGEST_HINT = timedelta(seconds=20)

# Led by two keys. A clinic's id before both would let PostgreSQL read all its texts instead, where it does not know
# yet how many there are; the scope keeps other clinics' out.
SPOKEN_OF = Statement(
    f"""
SELECT {columns_of(Message)} FROM sms_delivery_log
WHERE id = %(id)s OR (org_id = %(org)s AND provider_sid = %(sid)s AND provider_sid <> '')
ORDER BY provider_sid = %(sid)s DESC LIMIT 1 FOR UPDATE
""",  # noqa: S608  (column names of a model of ours)
    binary=True,
)
FURTHER = Statement("""
UPDATE sms_delivery_log SET provider_sid = %(sid)s, provider_status = %(status)s,
       in_doubt_since = %(in_doubt_since)s::timestamptz, updated_at = now()
WHERE org_id = %(org)s AND id = %(id)s
""")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What Twilio says of the text ``sid``: its status, and the code of what went wrong."""

    sid: str
    status: str
    error_code: int | None


def apply_receipt(org_id: UUID, message_id: UUID, receipt: Receipt) -> bool:
    """Moves the message as far as this receipt says; False when it says nothing new.

    Any receipt proves that Twilio has the text, so it also settles a message in ``unknown`` or ``sending``.
    The row is locked: of receipts that come at once, none overwrites a later word with an earlier one.
    """
    if not receipt.sid:
        return False
    try:
        return _apply(org_id, message_id, receipt)
    except IntegrityError:
        # A text of the very same words was taken for this one meanwhile; from now on it holds the SID.
        return _apply(org_id, message_id, receipt)


def _apply(org_id: UUID, message_id: UUID, receipt: Receipt) -> bool:
    with org_scope(org_id):
        message = _spoken_of(org_id, message_id, receipt)
        if message is None:
            return False
        is_known = tries.is_known(message, receipt.sid)
        sure = _is_sure(message, receipt.sid, is_known)
        if not is_known:
            tries.note_sid(message, receipt.sid)
        if not _says_something_new(message, receipt, is_known):
            if not is_known and _is_block(receipt):
                consent.record_carrier_block(message)
            return False
        settlement = settlement_of(message, receipt, sure=sure)
        if message.state != settlement.state and move(Message, org_id, message.pk, settlement):
            return True
        if sure and message.state == MessageState.DEAD_LETTER and message.in_doubt_since is not None:
            _tell_of_end(message, settlement)
            return True
        if message.state != settlement.state == MessageState.SUPPRESSED:
            # The text's own fate is settled; the person's wish is not.
            consent.record_carrier_block(message)
        if message.provider_sid == receipt.sid or is_counted(message):
            doubt = settlement.columns["in_doubt_since"]
            values = {"sid": receipt.sid, "status": receipt.status, "in_doubt_since": doubt}
            FURTHER.run({"org": org_id, "id": message.pk, **values})
        return False


def _is_sure(message: Message, sid: str, is_known: bool) -> bool:
    """Whether no text of this message but ``sid`` may be out there. Where that was doubted once, word of the same text
    proves nothing of the others."""
    if sid == message.provider_sid:
        return message.in_doubt_since is None
    return not is_known and tries.is_only_one_out(message)


def _tell_of_end(message: Message, settlement: Settlement) -> None:
    """A text that was given up in doubt, and of which it is known now why it never arrived: it stays given up."""
    columns = {**settlement.columns, "in_doubt_since": None, "last_error": settlement.error}
    Message.objects.filter(pk=message.pk).update(**columns)
    if settlement.record is not None:
        settlement.record()


def _spoken_of(org_id: UUID, message_id: UUID, receipt: Receipt) -> Message | None:
    """The message that holds the SID, else the one that the receipt's address names. Of two equal texts to one
    person the list at Twilio may have given the one's SID to the other: then they have changed places."""
    row = SPOKEN_OF.row({"org": org_id, "id": message_id, "sid": receipt.sid})
    return None if row is None else instance_of(Message, row)


def _says_something_new(message: Message, receipt: Receipt, is_known: bool) -> bool:
    if receipt.status in ARRIVED and message.state in OPEN:
        # Also after the same text was said to be undelivered: what lies on the phone is not sent again.
        return True
    if message.provider_sid == receipt.sid:
        known = outcomes.receipt_rank(message.provider_status)
        return not message.provider_status or outcomes.receipt_rank(receipt.status) > known
    if receipt.status in ARRIVED:
        return True
    if is_counted(message):
        # The next number we are told of is that text's. A try may know it already, the row not: the answer came late.
        return not message.provider_sid or not is_known
    # Word of another try: one that was judged before says no more, and one that nobody knew of decides only
    # while the message's fate is open.
    return not is_known and (not message.provider_sid or message.state in OPEN)


def _is_block(receipt: Receipt) -> bool:
    """Whether it says that the person takes no texts: that counts whatever became of this one."""
    return outcomes.outcome_of_receipt(receipt.status, receipt.error_code).outcome is TryOutcome.OPTED_OUT


def settlement_of(message: Message, receipt: Receipt, *, sure: bool) -> Settlement:
    """Where this word of Twilio's leads, with what it leaves behind. Also for what Twilio's list says. ``sure``: no
    other text of this message may be out there, so that one that did not arrive may be sent again."""
    now = timezone.now()
    columns: dict[str, Any] = {"provider_sid": receipt.sid, "provider_status": receipt.status}
    columns["in_doubt_since"] = None if sure else message.in_doubt_since or now
    if message.sent_at is None:
        columns["sent_at"] = now
    if message.state == MessageState.CANCELED:
        # Withdrawn or discarded, and it had left all the same: nothing puts it back.
        columns["expires_at"] = min(message.expires_at, now)
    outcome = outcomes.outcome_of_receipt(receipt.status, receipt.error_code).outcome
    if outcome is TryOutcome.ACCEPTED:
        return _good_word(receipt, columns | {"error_code": None})
    by_text = whatsapp.after_receipt(message, receipt.sid, receipt.error_code) if sure else None
    if by_text is not None:
        return replace(by_text, columns={**columns, **by_text.columns})
    columns["error_code"] = receipt.error_code
    reason = outcomes.spoken_reason(receipt.error_code)
    if outcome is TryOutcome.OPTED_OUT:
        record = partial(consent.record_carrier_block, message)
        return Settlement(
            MessageState.SUPPRESSED, uses_attempt=False, columns=columns, error=reason, record=record
        )
    wait = resending.wait_before_resend(message, receipt.status, receipt.error_code, now) if sure else None
    if wait is not None and now + wait < message.expires_at:
        return _once_more(message, receipt, reason, wait, columns)
    if wait is not None:
        reason += resending.NO_TIME
    pausing = partial(_pause_for, message, receipt.error_code)
    died = Settlement(
        MessageState.DEAD_LETTER, uses_attempt=False, columns=columns, error=reason, record=pausing
    )
    return died.also(partial(tries.note_bad_end, message, receipt.sid, receipt.status, receipt.error_code))


def _once_more(
    message: Message, receipt: Receipt, reason: str, wait: timedelta, columns: dict[str, Any]
) -> Settlement:
    """Back in the queue. The SID stays the row's, and its try's: late word of the old try is not word of the new."""
    again = Settlement(
        MessageState.QUEUED,
        uses_attempt=message.state == MessageState.SENDING,
        columns={**columns, "sent_at": None},
        error=reason + resending.AGAIN,
        wait=wait,
        record=partial(tries.note_fate, message, receipt.sid, receipt.error_code, reason),
    )
    if wait > LONGEST_HINT:
        return again
    countdown = wait.total_seconds()
    return again.also(partial(wake, message.org_id, message.pk, countdown))


def _pause_for(message: Message, code: int | None) -> None:
    if not whatsapp.note_fault(message, code):
        pauses.pause_for_code(message.org_id, code)


def _good_word(receipt: Receipt, columns: dict[str, Any]) -> Settlement:
    if receipt.status in ARRIVED:
        columns["delivered_at"] = timezone.now()
        return Settlement(MessageState.DELIVERED, uses_attempt=False, columns=columns)
    return Settlement(MessageState.SENT, uses_attempt=False, columns=columns)
