"""What staff tell a live call from their screen: say a sentence, put the caller through, end it.

A durable command in the clinic's scope, and a line of the audit trail, in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils import timezone

from bookings.plan import plan_of
from telephony.call_commands.commands import order_end, order_say, order_transfer
from telephony.call_commands.transfers import GENERAL, AfterHours, NoDestination, destination_for
from telephony.live.watchers import NotAllowed, Watcher
from telephony.models import Call, TransferDestination
from telephony.vapi.payload import text
from voxanne.tenancy.models import AuditEntry
from voxanne.tenancy.scope import org_scope

CONTROLS = frozenset({"say", "transfer", "end"})
LONGEST_SENTENCE = 500
CONNECTING = "I am putting you through to somebody now."


class Refused(Exception):
    """The command makes no sense now; ``code`` is stable, the message is for the person."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class Order:
    """A command as a client sent it, read."""

    kind: str
    org_id: UUID
    call_id: UUID
    sentence: str = ""
    department: str = GENERAL


def read_order(watcher: Watcher, said: Mapping[str, Any]) -> Order:
    """The order in a client's message. Raises Refused, or NotAllowed where this watcher may command nothing."""
    org_id = named_clinic(watcher, said)
    if not watcher.clinics[org_id].commands:
        raise NotAllowed
    kind = str(said["type"])
    order = Order(
        kind=kind,
        org_id=org_id,
        call_id=_uuid(said.get("callId"), "callId"),
        sentence=text(said.get("text"), LONGEST_SENTENCE),
        department=text(said.get("department")) or GENERAL,
    )
    if kind == "say" and not order.sentence:
        raise Refused("invalid_request", "There is nothing to say: text is missing.")
    if kind == "transfer" and order.department not in TransferDestination.Department.values:
        raise Refused("invalid_request", "There is no such department.")
    return order


def named_clinic(watcher: Watcher, said: Mapping[str, Any]) -> UUID:
    """The clinic that a message means: the one it names, else the only one. Raises Refused."""
    if said.get("orgId") is None and len(watcher.clinics) == 1:
        return next(iter(watcher.clinics))
    org_id = _uuid(said.get("orgId"), "orgId")
    if org_id not in watcher.clinics:
        raise Refused("not_found", "There is no such clinic among yours.")
    return org_id


def carry_out(watcher: Watcher, order: Order) -> None:
    """Gives the order to the call. Raises Refused."""
    with org_scope(order.org_id):
        call = Call.objects.filter(org_id=order.org_id, pk=order.call_id).first()
        if call is None:
            raise Refused("not_found", "There is no such call at this clinic.")
        if call.status == Call.Status.ENDED:
            raise Refused("call_ended", "The call has ended.")
        if not call.control_url:
            raise Refused("no_control", "This call takes no commands.")
        _give(order)
        AuditEntry.objects.create(
            org_id=order.org_id,
            actor_id=watcher.user_id,
            action=f"call.{order.kind}",
            subject=f"{Call._meta.db_table}:{order.call_id}",
            reason="From live calls." if watcher.user_id else "From live calls, by a token of the clinic's.",
        )


def _give(order: Order) -> None:
    if order.kind == "say":
        order_say(order.org_id, order.call_id, order.sentence)
    elif order.kind == "end":
        order_end(order.org_id, order.call_id)
    else:
        order_transfer(order.org_id, order.call_id, _destination(order), CONNECTING)


def _destination(order: Order) -> str:
    """A department's number; never one that a client names. Raises Refused."""
    try:
        return destination_for(plan_of(order.org_id), order.department, timezone.now())
    except AfterHours as error:
        raise Refused("after_hours", "Nobody answers there at this hour.") from error
    except NoDestination as error:
        raise Refused("no_destination", "The clinic has no number for this department.") from error


def _uuid(value: Any, name: str) -> UUID:
    try:
        return UUID(text(value, 40))
    except ValueError as error:
        raise Refused("invalid_request", f"{name} must be an id.") from error
