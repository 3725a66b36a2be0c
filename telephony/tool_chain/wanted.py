"""What Vapi is to be told of a clinic: its tools, how its assistant and its numbers reach us. Nothing is asked here.

A member whose wanted value is None must be absent. Sources: Vapi's OpenAPI document; its guides for static
parameters, spoken messages and server addresses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from telephony.tool_chain.our_side import Line, OurSide
from telephony.tools.catalogue import TOOLS, Tool

TOOLS_PATH = "/api/vapi/tools"
MESSAGES_PATH = "/api/webhooks/vapi"
OUR_PATHS = frozenset({TOOLS_PATH, MESSAGES_PATH, "/api/vapi/webhook"})
SECRET_HEADER = "X-Vapi-Secret"  # noqa: S105  (a header's name)

# A caller is waiting: the sentence for a delay, then the one for a failure, instead of a second try.
TOOL_SECONDS = 15
DELAY_MILLISECONDS = 4000
MESSAGE_SECONDS = 20
# Without it a report that we could not take would be lost.
BACKOFF = {"type": "exponential", "maxRetries": 5, "baseDelaySeconds": 2}
# Not "phone-call-control": whoever subscribes to it must hang up and forward calls himself.
SERVER_MESSAGES = (
    "tool-calls",
    "status-update",
    "end-of-call-report",
    "transcript",
    "hang",
    "transfer-update",
    "transfer-destination-request",
)
# Told to us by Vapi from its signalling; the model neither sees them nor can change them.
FROM_SIGNALLING = (
    ("callerNumber", "{{customer.number}}"),
    ("dialledNumber", "{{phoneNumber.number}}"),
    ("callId", "{{call.id}}"),
)
# Spoken while a tool works; where none is given Vapi makes one up. Blank: its answer is itself a goodbye.
WHILE_WORKING = {
    "checkAvailability": "Let me look at the calendar.",
    "bookClinicAppointment": "One moment, I am booking that for you.",
    "rescheduleAppointment": "One moment, I am moving that for you.",
    "cancelAppointment": "One moment, I am cancelling that for you.",
    "lookupCaller": "One moment, I am looking that up.",
    "takeMessage": "I am writing that down.",
    "transferCall": "One moment, please.",
    "endCall": "",
}
WORKING = "One moment, please."
DELAYED = "This is taking a little longer than usual. Please stay on the line."
FAILED = "I am sorry, that did not work just now. Shall I take a message for the clinic instead?"

LONGEST_NAME = 40
FIRST_MESSAGE = "Hello, this is {{clinicName}}. How can I help you?"
INSTRUCTIONS = """You answer the phone of {{clinicName}}.
Today is {{weekday}}, {{today}}, in the time zone {{timeZone}}.
Be brief and friendly; ask for one thing at a time. Never give medical advice: in an emergency ask the caller to hang
up and dial the emergency number.
Offer only times that checkAvailability has given you, and book only what the caller agreed to. Say what a tool's
answer asks you to say. Where you cannot help, offer to put the caller through."""
DEFAULT_MODEL: Mapping[str, Any] = {
    "provider": "openai",
    "model": "gpt-4.1",
    "messages": [{"role": "system", "content": INSTRUCTIONS}],
}

Body = dict[str, Any]


def our_address(backend_url: str, path: str, slug: str) -> str:
    """``?clinic=`` names the clinic, so that an HMAC's secret is found without reading the body."""
    return f"{backend_url}{path}?clinic={quote(slug, safe='')}"


def is_clinics_address(address: Any, backend_url: str, slug: str) -> bool:
    """Whether ``address`` is one of ours for this clinic: our origin, one of our paths, this clinic's key."""
    try:
        asked, ours = urlsplit(str(address or "")), urlsplit(backend_url)
        same_origin = (asked.scheme, asked.netloc.lower()) == (ours.scheme, ours.netloc.lower())
    except ValueError:
        return False
    return same_origin and asked.path in OUR_PATHS and parse_qs(asked.query).get("clinic") == [slug]


def tool_bodies(clinic: OurSide, backend_url: str, tools: Iterable[Tool] | None = None) -> dict[str, Body]:
    """Every tool of the catalogue by its name, as Vapi is to have it."""
    chosen = TOOLS.values() if tools is None else tools
    return {tool.name: _tool_body(tool, clinic, backend_url) for tool in chosen}


def _tool_body(tool: Tool, clinic: OurSide, backend_url: str) -> Body:
    return {
        "type": "function",
        "async": False,
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        "server": {
            **_server(clinic, our_address(backend_url, TOOLS_PATH, clinic.slug), TOOL_SECONDS),
            "backoffPlan": None,
        },
        "messages": [
            {"type": "request-start", "content": WHILE_WORKING.get(tool.name, WORKING)},
            {
                "type": "request-response-delayed",
                "content": DELAYED,
                "timingMilliseconds": DELAY_MILLISECONDS,
            },
            {"type": "request-failed", "content": FAILED},
        ],
        "parameters": [{"key": key, "value": value} for key, value in FROM_SIGNALLING],
    }


def digest_of(body: Mapping[str, Any]) -> str:
    """SHA-256 of a tool as Vapi is told of it, the secret left out."""
    server = {name: value for name, value in body["server"].items() if name != "headers"}
    told = json.dumps({**body, "server": server}, sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def message_server(clinic: OurSide, backend_url: str) -> Body:
    """Where a clinic's assistant and numbers send what happens in a call; tried again until we have it."""
    address = our_address(backend_url, MESSAGES_PATH, clinic.slug)
    return {**_server(clinic, address, MESSAGE_SECONDS), "backoffPlan": dict(BACKOFF)}


def _server(clinic: OurSide, address: str, seconds: int) -> Body:
    presented = clinic.presented
    shown: Body = {"headers": {SECRET_HEADER: presented.secret}}
    if presented.credential_id:
        # A header of ours beside it would say the same thing twice, and stay behind when it is rotated.
        shown = {"headers": None, "credentialId": presented.credential_id}
    # What is encrypted on its way here would be arguments that no tool can read.
    return {"url": address, "timeoutSeconds": seconds, "encryptedPaths": None, **shown}


def assistant_body(clinic: OurSide, backend_url: str) -> Body:
    """What of an assistant is ours to say; its model's tools are merged with what it has."""
    return {
        "serverMessages": list(SERVER_MESSAGES),
        "server": message_server(clinic, backend_url),
    }


def new_assistant(clinic: OurSide, backend_url: str) -> Body:
    """An assistant for a clinic that has none at Vapi, ready to be spoken with."""
    return {
        "name": clinic.name[:LONGEST_NAME],
        "firstMessage": FIRST_MESSAGE,
        "model": {**DEFAULT_MODEL, "toolIds": []},
        **assistant_body(clinic, backend_url),
    }


def number_body(line: Line, clinic: OurSide, backend_url: str, provider: str) -> Body:
    """What of a phone number is ours to say.

    No fixed assistant, so that we are asked for one; if we do not answer, the clinic's own line rings.
    """
    body: Body = {
        "assistantId": None,
        "squadId": None,
        "workflowId": None,
        "server": message_server(clinic, backend_url),
    }
    if line.forward_to:
        body["fallbackDestination"] = {"type": "number", "number": line.forward_to, "message": ""}
    if provider == "twilio":
        # Else Vapi takes the number's texts, and with them every STOP.
        body["smsEnabled"] = False
    return body
