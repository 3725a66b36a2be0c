"""What happens in calls, told to those who watch them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from telephony.call_records import feed as call_feed
from telephony.live.feed import TOOL, TRANSCRIPT, announce, announce_call
from telephony.models import Call, CallEvent
from voxanne.tenancy.scope import org_scope

HOW_IT_STANDS = frozenset({CallEvent.Kind.INCOMING.value, call_feed.ADVANCED})


def register() -> None:
    call_feed.register_listener(tell_watchers)


def tell_watchers(org_id: UUID, call_id: UUID, kind: str, data: Mapping[str, Any]) -> None:
    if kind == call_feed.TOOL:
        announce(org_id, TOOL, call_id, data)
    elif kind == CallEvent.Kind.TRANSCRIPT:
        announce(org_id, TRANSCRIPT, call_id, {**data, "at": data["at"].isoformat()})
    elif kind in HOW_IT_STANDS:
        _tell_how_it_stands(org_id, call_id)


def _tell_how_it_stands(org_id: UUID, call_id: UUID) -> None:
    with org_scope(org_id):
        call = Call.objects.filter(pk=call_id).first()
    if call is not None:
        announce_call(call)
