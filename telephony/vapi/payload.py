"""Vapi's server messages, read tolerantly: every argument form seen in the wild, nothing trusted to be there.

Sources: Vapi's OpenAPI document (ServerMessage and its kin) and captured payloads, which differ from it:
arguments come as an object or as a JSON string, under ``function`` or beside the name, and as ``parameters``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_TOOL_CALLS = 20
LONGEST_ID = 120
ID_PATTERNS = {
    name: re.compile(rb'"' + name.encode() + rb'"\s{0,8}:\s{0,8}"([A-Za-z0-9_-]{1,64})"')
    for name in ("assistantId", "phoneNumberId")
}


class MalformedPayload(ValueError):
    """The body is not a Vapi server message; the sentence says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One wish of the model. ``id`` is as it came, for the answer must name it exactly; ``arguments`` is None
    when they were no JSON object."""

    id: str
    name: str
    arguments: Mapping[str, Any] | None

    @property
    def claim_key(self) -> str:
        """What its claim is kept under: the id, or the id's digest where a column could not hold it whole."""
        kept = text(self.id, LONGEST_ID)
        return (
            kept if kept == self.id else hashlib.sha256(self.id.encode("utf-8", "surrogatepass")).hexdigest()
        )


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What a message says about its call; blank where it says nothing."""

    vapi_call_id: str
    twilio_call_sid: str
    assistant_id: str
    phone_number_id: str
    dialled: str
    caller: str
    control_url: str


@dataclass(frozen=True, slots=True)
class ServerMessage:
    type: str
    call: CallFacts
    body: Mapping[str, Any]


def parse(raw: bytes) -> ServerMessage:
    """Reads a webhook's body. Raises MalformedPayload."""
    return message_of(_mapping(load_object(raw).get("message")))


def message_of(message: Mapping[str, Any]) -> ServerMessage:
    """Reads a decoded server message. Raises MalformedPayload."""
    kind = text(message.get("type"))
    if not message or not kind:
        raise MalformedPayload("The body needs a message object with a type.")
    return ServerMessage(kind, _call_facts(message), message)


def glimpsed_ids(raw: bytes) -> CallFacts:
    """The ids that stand first in a body that is not to be parsed yet; blank where there are none."""
    found = {name: pattern.search(raw) for name, pattern in ID_PATTERNS.items()}
    ids = {name: text(match.group(1).decode("ascii"), 64) for name, match in found.items() if match}
    return CallFacts("", "", ids.get("assistantId", ""), ids.get("phoneNumberId", ""), "", "", "")


def load_object(raw: bytes) -> Mapping[str, Any]:
    """A JSON object out of bytes. Raises MalformedPayload for anything else."""
    try:
        loaded = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedPayload("The body is not valid JSON.") from error
    if not isinstance(loaded, dict):
        raise MalformedPayload("The body must be a JSON object.")
    return loaded


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def text(value: Any, longest: int = 2000) -> str:
    """A string that the database can hold: other types are blank, what UTF-8 or PostgreSQL cannot hold goes."""
    if not isinstance(value, str):
        return ""
    clean = value.replace("\x00", "").encode("utf-8", "ignore").decode("utf-8")
    return clean.strip()[:longest]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _call_facts(message: Mapping[str, Any]) -> CallFacts:
    call = _mapping(message.get("call"))
    number = _mapping(message.get("phoneNumber")) or _mapping(call.get("phoneNumber"))
    customer = _mapping(message.get("customer")) or _mapping(call.get("customer"))
    assistant = _mapping(message.get("assistant"))
    return CallFacts(
        vapi_call_id=text(call.get("id"), 64),
        twilio_call_sid=_twilio_sid(call),
        assistant_id=text(call.get("assistantId") or assistant.get("id"), 64),
        phone_number_id=text(call.get("phoneNumberId") or number.get("id"), 64),
        dialled=text(number.get("number"), 40),
        caller=text(customer.get("number"), 40),
        control_url=text(_mapping(call.get("monitor")).get("controlUrl"), 500),
    )


def _twilio_sid(call: Mapping[str, Any]) -> str:
    if call.get("phoneCallProvider") == "twilio":
        return text(call.get("phoneCallProviderId"), 40)
    return text(_mapping(call.get("transport")).get("callSid"), 40)


def tool_calls(message: Mapping[str, Any]) -> list[ToolCall]:
    """The message's tool calls in order; one without an id could not be answered and is passed over. Raises
    MalformedPayload when none is left."""
    listed = next((found for found in map(_listed, _places(message)) if found), [])
    if not listed:
        raise MalformedPayload("The message has no tool calls.")
    if len(listed) > MOST_TOOL_CALLS:
        raise MalformedPayload("The message has too many tool calls.")
    read = [call for call in map(_tool_call, listed) if call is not None]
    if not read:
        raise MalformedPayload("No tool call has an id.")
    return read


def _places(message: Mapping[str, Any]) -> list[Any]:
    with_tool = message.get("toolWithToolCallList")
    unpacked = [_with_tool(item) for item in with_tool] if isinstance(with_tool, list) else None
    return [message.get("toolCallList"), message.get("toolCalls"), unpacked]


def _with_tool(item: Any) -> Any:
    """The call inside an entry that carries the whole tool; the tool's own ``parameters`` are its schema."""
    entry = _mapping(item)
    call = dict(_mapping(entry.get("toolCall")))
    name = _mapping(entry.get("function")).get("name") or entry.get("name")
    if name and not call.get("name") and not _mapping(call.get("function")).get("name"):
        call["name"] = name
    return call


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _tool_call(item: Any) -> ToolCall | None:
    call = _mapping(item)
    function = _mapping(call.get("function"))
    call_id = call.get("id") or call.get("toolCallId")
    if not isinstance(call_id, str) or not text(call_id):
        return None
    given = [
        function.get("arguments"),
        function.get("parameters"),
        call.get("arguments"),
        call.get("parameters"),
    ]
    arguments: Any = next((value for value in given if value is not None), {})
    return ToolCall(call_id, text(function.get("name") or call.get("name"), 60), _decoded(arguments))


def _decoded(arguments: Any) -> Mapping[str, Any] | None:
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}", parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return None
    return arguments if isinstance(arguments, dict) else None
