"""A server message as the ledger takes it in: by which id it is known again, and what of it is kept.

Vapi gives its messages no id, and what it repeats is not the same to the byte: links in a report are signed anew
each time. An id is made of the call, the type, and what tells one event of that type from the next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from telephony.vapi.payload import ServerMessage, text
from telephony.webhooks.ledger import Arrival, Origin, Provider, event_id

TRANSCRIPT = "transcript"
# Subscribed to in this spelling, final transcripts come with it as their type.
FINAL_TRANSCRIPT = 'transcript[transcriptType="final"]'
STATUS_UPDATE = "status-update"
REPORT = "end-of-call-report"
TRANSFER_UPDATE = "transfer-update"
HANG = "hang"

# Repeated with every message, large, and read by nobody: what was configured, and the conversation so far.
BULK = frozenset(
    {
        "assistant", "assistantOverrides", "squad", "messages", "messagesOpenAIFormatted", "conversation",
        "toolWithToolCallList", "nodes", "logUrl", "performanceMetrics", "costBreakdown", "costs",
    }
)  # fmt: skip
# A message that nobody works off is kept for a look at what came, not in whole.
LARGEST_UNREAD = 64 * 1024

Parts = Callable[[Mapping[str, Any]], tuple[str, ...]]


def arrival_of(message: ServerMessage, origin: Origin = Origin.TOLD) -> Arrival:
    """What the ledger takes in of a verified message."""
    body = message.body
    parts = PARTS.get(message.type, _whatever_is_said)(body)
    key = event_id(message.call.vapi_call_id or "-", message.type, *parts)
    kept = body if message.type in PARTS else _glance(body)
    return Arrival(
        provider=Provider.VAPI,
        event_id=key.replace("\x00", ""),
        event_type=message.type,
        payload=kept,
        call_id=message.call.vapi_call_id,
        origin=origin,
        drop=BULK,
    )


def _status(body: Mapping[str, Any]) -> tuple[str, ...]:
    """A call has each status once."""
    return (text(body.get("status"), 40),)


def _once(body: Mapping[str, Any]) -> tuple[str, ...]:
    """A call has one report, however often it is sent and whatever is signed anew in it."""
    return ()


def _said(body: Mapping[str, Any]) -> tuple[str, ...]:
    """The same words may be said twice in a call, at different times."""
    words = (text(body.get("role"), 20), text(body.get("transcriptType"), 20), text(body.get("transcript")))
    return (*words[:2], _moment(body), _digest(words[2]))


def _transfer(body: Mapping[str, Any]) -> tuple[str, ...]:
    destination = body.get("destination")
    where = destination if isinstance(destination, dict) else {}
    named = [text(where.get(name), 60) for name in ("type", "number", "sipUri", "assistantName")]
    return (_moment(body), _digest(*named))


def _at_a_moment(body: Mapping[str, Any]) -> tuple[str, ...]:
    return (_moment(body),)


def _whatever_is_said(body: Mapping[str, Any]) -> tuple[str, ...]:
    """A type we know nothing of: its moment and its plain members; links are signed anew each time."""
    plain = {
        name: value
        for name, value in body.items()
        if isinstance(value, str | int | float) and "url" not in name.lower()
    }
    return (_moment(body), _digest(json.dumps(plain, sort_keys=True)))


PARTS: Mapping[str, Parts] = {
    STATUS_UPDATE: _status,
    REPORT: _once,
    TRANSCRIPT: _said,
    FINAL_TRANSCRIPT: _said,
    TRANSFER_UPDATE: _transfer,
    HANG: _at_a_moment,
}


def _moment(body: Mapping[str, Any]) -> str:
    """The message's own time: that of the event, not of its delivery."""
    value = body.get("timestamp")
    return str(value) if isinstance(value, int | float) else text(value, 40)


def _digest(*words: str) -> str:
    return hashlib.sha256("\x1f".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _glance(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """All of a small message; the plain members of a large one."""
    light = {name: value for name, value in body.items() if name not in BULK}
    if sum(_weight(value) for value in light.values()) <= LARGEST_UNREAD:
        return light
    return {
        name: value[:200] if isinstance(value, str) else value
        for name, value in light.items()
        if isinstance(value, str | int | float)
    }


def _weight(value: Any) -> int:
    """About how many characters a value takes, without the bulk."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(8 + _weight(inner) for name, inner in value.items() if name not in BULK)
    if isinstance(value, list):
        return sum(8 + _weight(inner) for inner in value)
    return 8
