"""A proxy on a socket before a Twilio: what Twilio's document does not allow it refuses, either way, and says why."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from openapi_core.contrib.werkzeug import WerkzeugOpenAPIResponse
from werkzeug import Request, Response
from werkzeug.serving import make_server

from tests.contracts.specifications import SentToTwilio, twilio, twilio_faults
from tests.sandbox.running import twilio_schema

REFUSED, BAD_REPLY = 422, 502
MESSAGE, PAGE = "api.v2010.account.message", "messages"
ERROR = {"code", "message", "more_info", "status"}
PASSED_ON = ("Authorization", "Content-Type")


@dataclass
class ValidatingProxy:
    """``exchanged``: (method, path, status) of what was let through; ``faults``: what was not, and why."""

    upstream: str
    url: str = ""
    exchanged: list[tuple[str, str, int]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Response:
        faults = twilio_faults(request)
        if faults:
            return self._refused(REFUSED, [f"request: {fault}" for fault in faults])
        reply = self._ask(request)
        faults = reply_faults(request, reply)
        if faults:
            return self._refused(BAD_REPLY, [f"reply: {fault}" for fault in faults])
        self.exchanged.append((request.method, request.path, reply.status_code))
        return reply

    def _ask(self, request: Request) -> Response:
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        told = requests.request(
            request.method, f"{self.upstream}{request.full_path}", data=request.get_data(), headers=headers,
            timeout=10,
        )  # fmt: skip
        return Response(told.content, told.status_code, content_type=told.headers.get("Content-Type"))

    def _refused(self, status: int, faults: list[str]) -> Response:
        self.faults += faults
        return Response(json.dumps({"faults": faults}), status, content_type="application/json")


def reply_faults(request: Request, reply: Response) -> list[str]:
    """What Twilio's document finds wrong with the reply, members of a message that it does not name or that are missing
    included. Errors are in no document but in Twilio's pages: four members, and the status once more."""
    if reply.status_code >= 400:
        return _error_faults(reply)
    answered = WerkzeugOpenAPIResponse(reply)
    faults = [str(error) for error in twilio().iter_response_errors(SentToTwilio(request), answered)]
    return faults + [
        fault for shown in _messages_in(reply.get_json(silent=True)) for fault in _of_message(shown)
    ]


def _error_faults(reply: Response) -> list[str]:
    said = reply.get_json(silent=True)
    if not isinstance(said, dict):
        return [] if reply.status_code >= 500 else ["a refusal without a body"]
    right = set(said) == ERROR and said["status"] == reply.status_code and isinstance(said["code"], int)
    return [] if right else [f"not an error of Twilio's: {said}"]


def _messages_in(said: Any) -> list[Any]:
    return list(said[PAGE]) if isinstance(said, dict) and PAGE in said else [said]


def _of_message(shown: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in twilio_schema(MESSAGE).iter_errors(shown)]


@contextmanager
def proxying(upstream: str) -> Iterator[ValidatingProxy]:
    """The proxy before ``upstream`` for as long as the block runs."""
    proxy = ValidatingProxy(upstream)
    server = make_server("127.0.0.1", 0, Request.application(proxy.answer), threaded=True)
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
