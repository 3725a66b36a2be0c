"""Delivery receipts: the provider's later word on a message, applied forward only, in whatever order it comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils import timezone

from messaging import consent
from messaging.models import Message
from messaging.providers.twilio import outcomes
from messaging.states import MessageState
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import move
from voxanne.tenancy.scope import org_scope

ARRIVED = frozenset({"delivered", "read"})
FAILED = frozenset({"undelivered", "failed"})


@dataclass(frozen=True, slots=True)
class Receipt:
    sid: str
    status: str
    error_code: int | None


def apply_receipt(org_id: UUID, message_id: UUID, receipt: Receipt) -> bool:
    """Moves the message as far as this receipt says; False when it says nothing new.

    Any receipt proves that Twilio has the text, so it also settles a message in ``unknown`` or ``sending``.
    The row is locked: of receipts that come at once, none overwrites a later word with an earlier one.
    """
    with org_scope(org_id):
        message = Message.objects.select_for_update().filter(pk=message_id).first()
        if message is None or _is_old(message, receipt):
            return False
        settlement = _settlement(message, receipt)
        moved = move(Message, org_id, message_id, settlement)
        if not moved and message.state == settlement.state:
            Message.objects.filter(pk=message_id).update(provider_status=receipt.status)
        if moved and settlement.state == MessageState.SUPPRESSED:
            consent.record(
                org_id, sender=message.sender, recipient=message.recipient, opted_out=True, source="carrier"
            )
        return moved


def _is_old(message: Message, receipt: Receipt) -> bool:
    if message.provider_sid and message.provider_sid != receipt.sid:
        return False
    return outcomes.receipt_rank(receipt.status) <= outcomes.receipt_rank(message.provider_status) and bool(
        message.provider_status
    )


def _settlement(message: Message, receipt: Receipt) -> Settlement:
    now = timezone.now()
    columns: dict[str, Any] = {"provider_sid": receipt.sid, "provider_status": receipt.status}
    if message.sent_at is None:
        columns["sent_at"] = now
    if receipt.status in ARRIVED:
        columns["delivered_at"] = now
        return Settlement(MessageState.DELIVERED, uses_attempt=False, columns=columns)
    if receipt.status in FAILED:
        return _failure(receipt, columns | {"error_code": receipt.error_code})
    return Settlement(MessageState.SENT, uses_attempt=False, columns=columns)


def _failure(receipt: Receipt, columns: dict[str, Any]) -> Settlement:
    code = receipt.error_code or 0
    reason = outcomes.spoken_reason(code)
    if outcomes.fault_of_code(code) == outcomes.Fault.OPT_OUT:
        return Settlement(MessageState.SUPPRESSED, uses_attempt=False, columns=columns, error=reason)
    columns["dead_lettered_at"] = timezone.now()
    return Settlement(MessageState.DEAD_LETTER, uses_attempt=False, columns=columns, error=reason)
