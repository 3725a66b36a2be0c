"""A caller's side of the demo: Vapi's signed messages over real HTTP, and a look at the sandbox's phones.

Nothing here reaches into the product: it says what Vapi says, and sees what a patient sees.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import requests

from voxanne.demo.clinics import DemoClinic, twilio_number

ANSWER_SECONDS = 10
SEEN_SECONDS = 90.0
LOOK_EVERY_SECONDS = 0.05


class DemoFailed(RuntimeError):
    """A step of the demo call did not go as it should; the message says which and how."""


class Voice:
    """One call at a clinic, as Vapi would report it."""

    def __init__(self, backend_url: str, sandbox_url: str, clinic: DemoClinic, caller: str) -> None:
        self.backend_url = backend_url
        self.sandbox_url = sandbox_url
        self.clinic = clinic
        self.caller = caller
        self.call_id = str(uuid.uuid4())
        self.twilio_sid = f"CA{self.call_id.replace('-', '')}"
        self._http = requests.Session()
        self._registered = self._register()

    def _register(self) -> dict[str, Any]:
        """Tells the sandbox of the call, so that its commands have an address and the phone page shows it."""
        # One that is there may have been pointed at us already.
        if not any(
            held["number"] == self.clinic.number for held in self._control("GET", "/_control/numbers")
        ):
            self._control("POST", "/_control/numbers", twilio_number(self.clinic, self.backend_url))
        call = {
            "id": self.call_id,
            "customer": {"number": self.caller},
            "phoneNumber": {"number": self.clinic.number},
            "status": "in-progress",
            "phoneCallProviderId": self.twilio_sid,
        }
        answer = self._control("POST", "/_control/vapi/calls", call)
        return answer if isinstance(answer, dict) else {}

    def _control(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._http.request(method, f"{self.sandbox_url}{path}", json=body, timeout=ANSWER_SECONDS)
        answer.raise_for_status()
        return answer.json()

    def belongs_to(self, name: str) -> None:
        """Names whose phone the caller's is, for the phone page."""
        self._control("POST", "/_control/phones", {"number": self.caller, "name": name})

    def ring(self, *outcomes: str) -> None:
        """The caller rings by way of Twilio; each line that is dialled does what ``outcomes`` says, in turn."""
        call = {
            "from": self.caller,
            "to": self.clinic.number,
            "outcomes": list(outcomes),
            "ring_seconds": 1,
            "wait": True,
        }
        self._control("POST", "/_control/twilio/inbound-call", call)

    def hang_up(self) -> None:
        """Tells the sandbox that the call is over."""
        self._control("POST", "/_control/vapi/calls", {"id": self.call_id, "status": "ended"})

    def note(self, kind: str, text: str) -> None:
        """Adds a step to the call's timeline on the phone page."""
        self._event({"type": kind, "text": text})

    def heard(self, role: str, text: str) -> None:
        """Adds what the ``user`` or the ``assistant`` says to the timeline."""
        self._event({"type": "transcript", "role": role, "text": text})

    def _event(self, event: dict[str, Any]) -> None:
        self._control("POST", f"/_control/vapi/calls/{self.call_id}/events", event)

    def say(self, kind: str, **members: Any) -> dict[str, Any]:
        """Posts one server message, signed by HMAC with the clinic's secret; returns the reply."""
        message = {"type": kind, "timestamp": int(time.time() * 1000), **members, **self._envelope()}
        body = json.dumps({"message": message}).encode()
        stamp = str(int(time.time()))
        signed = hmac.new(self.clinic.vapi_secret.encode(), stamp.encode() + b"." + body, hashlib.sha256)
        headers = {
            "Content-Type": "application/json",
            "x-vapi-timestamp": stamp,
            "x-vapi-signature": signed.hexdigest(),
        }
        answer = self._http.post(
            f"{self.backend_url}/api/webhooks/vapi", data=body, headers=headers, timeout=ANSWER_SECONDS
        )
        if answer.status_code != 200:
            raise DemoFailed(f"{kind} was answered with {answer.status_code}: {answer.text[:300]}")
        reply = answer.json()
        return reply if isinstance(reply, dict) else {}

    def _envelope(self) -> dict[str, Any]:
        number = {
            "id": self.clinic.vapi_phone_number_id,
            "number": self.clinic.number,
            "provider": "twilio",
            "assistantId": None,
        }
        monitor = self._registered.get("monitor") or {}
        call = {
            "id": self.call_id,
            "type": "inboundPhoneCall",
            "status": "ringing",
            "createdAt": datetime.now(UTC).isoformat(),
            "phoneCallProvider": "twilio",
            "phoneCallProviderId": self.twilio_sid,
            "phoneNumberId": self.clinic.vapi_phone_number_id,
            "assistantId": None,
            "customer": {"number": self.caller},
            "monitor": monitor,
        }
        return {"call": call, "phoneNumber": number, "customer": {"number": self.caller}}

    def use_tool(self, tool: str, call_id: str | None = None, **arguments: Any) -> dict[str, Any]:
        """One tool call; returns the result's JSON. Raises DemoFailed for a refusal or a fault."""
        function = {"name": tool, "arguments": arguments}
        wanted = {"id": call_id or f"call_{uuid.uuid4().hex[:8]}", "type": "function", "function": function}
        reply = self.say("tool-calls", toolCallList=[wanted], toolCalls=[wanted])
        entry = (reply.get("results") or [{}])[0]
        if "result" not in entry:
            raise DemoFailed(f"{tool} was answered with a fault: {entry.get('error', reply)}")
        result: dict[str, Any] = json.loads(entry["result"])
        if not result.get("ok"):
            raise DemoFailed(f"{tool} was refused: {result.get('code')}: {result.get('say')}")
        return result

    def opens(self, address: str) -> str:
        """What the patient finds at an address that a text named. Raises DemoFailed for anything but a page."""
        answer = self._http.get(address, timeout=ANSWER_SECONDS)
        if answer.status_code != 200:
            raise DemoFailed(f"The link was answered with {answer.status_code}.")
        return answer.text

    def delivered_text(self, containing: str) -> dict[str, Any]:
        """Waits until the caller's phone holds a delivered text with these words."""
        return self._seen(
            f"/_control/twilio/messages?to={quote(self.caller)}",
            lambda text: containing in text.get("body", "") and text.get("status") == "delivered",
            "The text did not reach the phone",
        )

    def calendar_event(self, appointment_id: str) -> dict[str, Any]:
        """Waits until a provider's calendar shows the appointment."""
        wanted = appointment_id.replace("-", "")
        return self._seen(
            "/_control/google/events",
            lambda event: event.get("id") == wanted and event.get("status") != "cancelled",
            "The event did not reach the calendar",
        )

    def commands(self) -> list[dict[str, Any]]:
        """What the call was told to do (transfer, end)."""
        found = self._control("GET", f"/_control/vapi/commands?call={self.call_id}")
        return found if isinstance(found, list) else []

    def _seen(self, path: str, wanted: Any, otherwise: str) -> dict[str, Any]:
        deadline = time.monotonic() + SEEN_SECONDS
        while time.monotonic() < deadline:
            for item in self._control("GET", path):
                if wanted(item):
                    return dict(item)
            time.sleep(LOOK_EVERY_SECONDS)
        raise DemoFailed(f"{otherwise} within {SEEN_SECONDS:.0f} s.")
