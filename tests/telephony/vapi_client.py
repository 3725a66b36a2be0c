"""Vapi as these tests play it: its server messages, and each form in which it presents a credential."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpResponse
from django.test import Client

from tests.clinics import Clinic

WEBHOOK = "/api/webhooks/vapi"
TOOLS = "/api/vapi/tools"
CALLER = "+14155550142"
CONTROL_URL = "https://phone-call-websocket.aws-us-west-2.vapi.ai/5f1c/control"
HMAC_HEADERS = (("x-vapi-signature", "x-vapi-timestamp"), ("x-signature", "x-timestamp"))

Json = dict[str, Any]

# One for all tests: it keeps no state that Vapi has, and building one loads the whole chain of middleware.
SHARED_CLIENT = Client(raise_request_exception=False)


def vapi_secret(secret: str) -> dict[str, str]:
    """The older form: a header of Vapi's own."""
    return {"X-Vapi-Secret": secret}


def bearer(secret: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"Authorization": f"{scheme} {secret}"}


def signed(
    secret: str, body: bytes, stamp: str | None = None, names: tuple[str, str] = HMAC_HEADERS[0]
) -> dict[str, str]:
    """An HMAC over ``{timestamp}.{body}``; ``stamp`` is the timestamp's text, now in seconds unless given."""
    moment = stamp if stamp is not None else str(int(time.time()))
    digest = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {names[0]: digest, names[1]: moment}


def tool_call(name: str, arguments: object, tool_call_id: str = "call_VaJ7") -> Json:
    """A tool call in the shape of the captured payloads."""
    return {"id": tool_call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


@dataclass
class VapiCaller:
    """One call at a clinic, as Vapi would report it; nothing of it is checked before the product does."""

    clinic: Clinic
    client: Client = SHARED_CLIENT
    caller: str | None = CALLER
    call_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    control_url: str | None = CONTROL_URL

    def envelope(self) -> Json:
        """What every message says about its call."""
        customer = {"number": self.caller} if self.caller is not None else {}
        call: Json = {
            "id": self.call_id,
            "type": "inboundPhoneCall",
            "status": "ringing",
            "phoneCallProvider": "twilio",
            "phoneCallProviderId": f"CA{self.call_id.replace('-', '')}",
            "phoneNumberId": self.clinic.phone_number_id,
            "assistantId": self.clinic.assistant_id,
            "customer": customer,
        }
        if self.control_url is not None:
            call["monitor"] = {"controlUrl": self.control_url}
        number = {"id": self.clinic.phone_number_id, "number": self.clinic.number, "provider": "twilio"}
        return {"call": call, "phoneNumber": number, "customer": customer}

    def message(self, kind: str, **members: Any) -> Json:
        """A server message; ``members`` replace those of the envelope."""
        return {"message": {"type": kind, "timestamp": 1795160427736, **self.envelope(), **members}}

    def tools_message(self, *calls: Any, **members: Any) -> Json:
        return self.message("tool-calls", toolCallList=list(calls), toolCalls=list(calls), **members)

    def post(
        self,
        body: bytes | Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
        address: str = WEBHOOK,
        content_type: str = "application/json",
    ) -> Any:
        """Posts ``body``; with the clinic's own secret unless other ``headers`` are given."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        chosen = vapi_secret(self.clinic.secret) if headers is None else dict(headers)
        return self.client.generic("POST", address, raw, content_type, headers=chosen)

    def say(self, kind: str, **members: Any) -> Json:
        """Posts a message of ``kind`` and returns the reply of a 200."""
        return reply_of(self.post(self.message(kind, **members)))

    def ask(self, *calls: Any, **members: Any) -> list[Json]:
        """Posts tool calls in one message and returns their entries."""
        results: list[Json] = reply_of(self.post(self.tools_message(*calls, **members)))["results"]
        return results

    def use(self, tool: str, tool_call_id: str | None = None, **arguments: Any) -> Json:
        """One tool call; returns its result, read as JSON."""
        entry = self.ask(tool_call(tool, arguments, tool_call_id or f"call_{uuid.uuid4().hex[:8]}"))[0]
        assert "error" not in entry, entry
        return result_of(entry)


def reply_of(answer: HttpResponse) -> Json:
    assert answer.status_code == 200, (answer.status_code, answer.content[:400])
    reply: Json = json.loads(answer.content)
    return reply


def result_of(entry: Json) -> Json:
    """The result of one entry, which must be one line of text that is itself JSON."""
    line = entry["result"]
    assert isinstance(line, str)
    assert len(line.splitlines()) == 1
    result: Json = json.loads(line)
    assert isinstance(result["ok"], bool)
    assert isinstance(result["say"], str)
    return result
