"""The sandbox's control API, as far as fault runs need it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import requests

ANSWER_SECONDS = 20


class SandboxControl:
    """Asks for faults at the providers and looks at what the phones hold."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/_control"
        self._http = requests.Session()

    def fault(self, kind: str, **more: Any) -> None:
        """Strikes requests that send a text."""
        match = {"method": "POST", "path": "/Messages"}
        self._ask("POST", "/faults", {"service": "twilio", "kind": kind, "match": match, **more})

    def struck(self, kind: str) -> int:
        """How many requests a kind of fault has struck since the faults were cleared."""
        return sum(int(fault["struck"]) for fault in self._ask("GET", "/faults") if fault["kind"] == kind)

    def clear_faults(self) -> None:
        self._ask("DELETE", "/faults")

    def phones(self) -> Counter[tuple[str, str]]:
        """How often each (number, body) lies on a phone."""
        return Counter((text["to"], text["body"]) for text in self._ask("GET", "/twilio/messages"))

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._http.request(method, self._url + path, json=body, timeout=ANSWER_SECONDS)
        answer.raise_for_status()
        return answer.json()
