"""The sandbox's control API, as far as fault runs need it."""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import quote

import requests

ANSWER_SECONDS = 20


class SandboxControl:
    """Asks for faults at the providers and looks at what the phones hold."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/_control"
        self._http = requests.Session()

    def fault(self, kind: str, *, method: str = "POST", **more: Any) -> None:
        """Strikes requests that send a text; by GET those that look texts up."""
        match = {"method": method, "path": "/Messages"}
        self._ask("POST", "/faults", {"service": "twilio", "kind": kind, "match": match, **more})

    def struck(self, kind: str) -> int:
        """How many requests a kind of fault has struck since the faults were cleared."""
        return sum(int(fault["struck"]) for fault in self._ask("GET", "/faults") if fault["kind"] == kind)

    def clear_faults(self) -> None:
        self._ask("DELETE", "/faults")

    def open_gate(self, port: int) -> None:
        """A port of its own that leads to the sandbox, and can be shut."""
        self._ask("POST", "/gates", {"port": port})

    def turn_gate(self, port: int, turn: str) -> None:
        """``shut``: connecting is refused, and connections are cut. ``open``: as before."""
        self._ask("POST", f"/gates/{port}/{turn}", {})

    def phones(self) -> Counter[tuple[str, str]]:
        """How often each (number, body) lies on a phone."""
        return Counter((text["to"], text["body"]) for text in self._ask("GET", "/twilio/messages"))

    def texts_of(self, number: str) -> int:
        """How many texts lie on this phone."""
        return len(self._ask("GET", f"/twilio/messages?to={quote(number)}"))

    def connect_number(self, number: str, backend_url: str) -> None:
        """Twilio is told where the number's calls lead."""
        addresses = {
            "voice_url": f"{backend_url}/api/webhooks/twilio/voice",
            "status_url": f"{backend_url}/api/webhooks/twilio/call-status",
        }
        self._ask("POST", "/numbers", {"number": number, **addresses})

    def ring(self, caller: str, number: str, **script: Any) -> None:
        """Plays a call; with ``wait`` to its end."""
        self._ask("POST", "/twilio/inbound-call", {"from": caller, "to": number, **script})

    def dialled_by(self, caller: str) -> list[str]:
        """The numbers that were dialled on for this caller."""
        legs = self._ask("GET", f"/twilio/calls?from={quote(caller)}")
        return [str(leg["to"]) for leg in legs if leg["parent_call_sid"]]

    def last_status(self, path: str) -> int:
        """What our newest answer was to a webhook whose address ends so; 0 where there was none."""
        webhooks = self._ask("GET", "/webhooks?limit=100")
        return next((int(each["status"] or 0) for each in webhooks if each["url"].endswith(path)), 0)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._http.request(method, self._url + path, json=body, timeout=ANSWER_SECONDS)
        answer.raise_for_status()
        return answer.json()
