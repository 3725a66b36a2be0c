"""The ledger of webhooks: the single door through which they are taken in, worked off and replayed.

A webhook whose sender was verified is redacted, written by one statement in its clinic's scope, and acknowledged;
a worker is hinted at when that has committed, and the sweep finds the row when the hint was lost. The key (clinic,
provider, event id) lets each event in once, so ids are made of what stays the same when a provider repeats itself.

Working off is nothing but rows: the handler's writes and the completion mark are one transaction. Handlers are
registered by provider and type; what has no handler is stored, complete at once, and ignored.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

from monitoring import metrics
from telephony.models import WebhookDelivery
from telephony.webhooks.payloads import packed, redacted, unpacked
from telephony.webhooks.states import WebhookState
from voxanne.durable import work
from voxanne.durable.hints import hint_on_commit
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import WorkKind
from voxanne.statements import Statement
from voxanne.tenancy.ids import new_id
from voxanne.tenancy.models import AuditEntry, User
from voxanne.tenancy.scope import SCOPE_OF_STATEMENT, org_scope, scope_of_one_statement

WEBHOOK_WORK = "webhook"
WEBHOOK_QUEUE = "webhooks"
# Working one off waits for nobody outside, and takes less than making a message does.
TOGETHER = 25
LONGEST_EVENT_ID = 200
LONGEST_TYPE = 80
# What may be replayed: done, or given up.
SETTLED = (WebhookState.COMPLETED, WebhookState.DEAD_LETTER)
Provider = WebhookDelivery.Provider
Origin = WebhookDelivery.Origin
Outcome = WebhookDelivery.Outcome

TAKE_IN = Statement(
    "WITH scope AS MATERIALIZED ("
    + SCOPE_OF_STATEMENT
    + """)
INSERT INTO webhook_delivery_log
    (id, org_id, provider, event_id, event_type, provider_call_id, origin, state, outcome, payload, completed_at,
     attempts, lost_leases, next_attempt_at, last_error, created_at, updated_at)
SELECT %(id)s::uuid, %(org)s::uuid, %(provider)s::text, %(event_id)s::text, %(event_type)s::text, %(call)s::text,
       %(origin)s::text, %(state)s::text, %(outcome)s::text, %(payload)s::bytea,
       CASE WHEN %(done)s::bool THEN now() END, 0, 0, now(), '', statement_timestamp(), now()
FROM scope
ON CONFLICT ON CONSTRAINT processed_webhook_events DO NOTHING
RETURNING id
"""
)
OF_WEBHOOK = Statement("SELECT clinic_of_webhook(%s::uuid)")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A verified webhook. ``event_id`` is made of stable fields only (see ``event_id``); ``payload`` is what of the
    body is worth keeping, decoded; ``call_id`` the provider's own id of the call, blank where there is none.
    ``drop`` names members that are left out of what is kept, at any depth."""

    provider: WebhookDelivery.Provider
    event_id: str
    event_type: str
    payload: Mapping[str, Any] = field(repr=False)
    call_id: str = ""
    origin: WebhookDelivery.Origin = Origin.TOLD
    drop: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Event:
    """A stored webhook as its handler sees it; ``received_at`` is when it came in first."""

    org_id: UUID
    event_id: str
    event_type: str
    received_at: datetime
    origin: str
    payload: Mapping[str, Any] = field(repr=False)


Handler = Callable[[Event], None]
_handlers: dict[tuple[str, str], Handler] = {}


def register_handler(provider: WebhookDelivery.Provider, event_type: str, handler: Handler) -> None:
    """``handler`` works off every webhook of this type: inside its clinic's scope and the transaction that marks it
    done, so it asks no provider. It may see an event again (a replay) and then changes nothing."""
    _handlers[(provider.value, event_type)] = handler


def event_id(*parts: str) -> str:
    """One key out of stable parts; its digest where a column could not hold it whole."""
    joined = ":".join(parts)
    if len(joined) <= LONGEST_EVENT_ID:
        return joined
    return f"sha256:{hashlib.sha256(joined.encode('utf-8', 'surrogatepass')).hexdigest()}"


def take_in(org_id: UUID, arrival: Arrival) -> bool:
    """Stores the webhook and returns True; a repetition changes nothing and returns False. Raises DatabaseError.

    By the time it returns the row is durable, unless the caller has a transaction of its own open.
    """
    event_type = arrival.event_type[:LONGEST_TYPE]
    handled = (arrival.provider.value, event_type) in _handlers
    webhook_id = new_id()
    values = {
        "id": webhook_id, "org": org_id, "provider": arrival.provider.value, "event_id": arrival.event_id,
        "event_type": event_type, "call": arrival.call_id[:64], "origin": arrival.origin.value,
        "state": WebhookState.PENDING.value if handled else WebhookState.COMPLETED.value,
        "outcome": Outcome.NONE.value if handled else Outcome.IGNORED.value, "done": not handled,
        "payload": packed(redacted(arrival.payload, arrival.drop)),
    }  # fmt: skip
    with scope_of_one_statement(org_id):
        if TAKE_IN.row(values) is None:
            metrics.count_duplicate("webhook")
            return False
        if handled:
            hint_on_commit(WEBHOOK_WORK, WEBHOOK_QUEUE, org_id, webhook_id, together=TOGETHER)
    return True


# Working off


class PayloadGone(LookupError):
    """The webhook's time is over: what it said is not kept any more."""


def prepare(delivery: WebhookDelivery) -> Event:
    """Opens the payload. Raises PayloadGone."""
    if not delivery.payload:
        raise PayloadGone("What this webhook said is not kept any more.")
    return Event(
        delivery.org_id,
        delivery.event_id,
        delivery.event_type,
        delivery.created_at,
        delivery.origin,
        unpacked(delivery.payload),
    )


def perform(delivery: WebhookDelivery, event: Event) -> Settlement:
    """Nothing is asked of anybody outside: the handler runs within the settlement."""
    handler = _handlers.get((delivery.provider, delivery.event_type))
    if handler is None:
        return Settlement(WebhookState.COMPLETED, columns={"outcome": Outcome.IGNORED})
    handle = partial(_timed, delivery, handler, event)
    return Settlement(WebhookState.COMPLETED, columns={"outcome": Outcome.HANDLED}, within=handle)


def _timed(delivery: WebhookDelivery, handler: Handler, event: Event) -> None:
    began = time.perf_counter()
    handler(event)
    metrics.observe_webhook_work(delivery.provider, delivery.event_type, time.perf_counter() - began)


WEBHOOK = WorkKind(
    name=WEBHOOK_WORK,
    model=WebhookDelivery,
    prepare=prepare,
    perform=perform,
    lease=timedelta(seconds=30),
    queue=WEBHOOK_QUEUE,
    # It waits for the database alone: more of them would only wait for each other. A dozen a second go on in a crowd.
    gives_way=0.25,
    threads=3,
)


# Replaying


class Replayed(StrEnum):
    """What came of asking for a replay."""

    DONE = "done"
    UNKNOWN = "unknown"
    NOT_SETTLED = "not_settled"
    PAYLOAD_GONE = "payload_gone"


def replay(webhook_id: UUID, reason: str, actor: User | None = None) -> Replayed:
    """Works a settled webhook off once more: the same row, the same key, so what it did already it does not do
    again. ``reason`` and ``actor`` enter the audit trail. Asked twice at once, one of the two does it."""
    owner = OF_WEBHOOK.row([webhook_id])
    if owner is None:
        return Replayed.UNKNOWN
    with org_scope(owner[0]):
        delivery = WebhookDelivery.objects.filter(pk=webhook_id).select_for_update().first()
        return Replayed.UNKNOWN if delivery is None else replay_row(delivery, reason, actor)


def replay_row(delivery: WebhookDelivery, reason: str, actor: User | None) -> Replayed:
    """The same for a row at hand, inside its clinic's scope."""
    if delivery.state not in SETTLED:
        return Replayed.NOT_SETTLED
    if not delivery.payload:
        return Replayed.PAYLOAD_GONE
    fresh = {"attempts": 0, "lost_leases": 0, "outcome": Outcome.NONE, "replays": delivery.replays + 1}
    again = Settlement(WebhookState.PENDING, uses_attempt=False, columns=fresh)
    if not work.move(WebhookDelivery, delivery.org_id, delivery.pk, again, sources=SETTLED):
        return Replayed.NOT_SETTLED
    AuditEntry.objects.create(
        org_id=delivery.org_id,
        actor=actor,
        action="webhook.replay",
        subject=f"{WebhookDelivery._meta.db_table}:{delivery.pk}",
        reason=reason,
    )
    hint_on_commit(WEBHOOK_WORK, WEBHOOK_QUEUE, delivery.org_id, delivery.pk)
    return Replayed.DONE
