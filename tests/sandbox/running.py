"""The sandbox as a real process, and a stand-in for the product that records what it is sent."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import jsonschema
import pytest
import requests
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response as TwilioResponse
from twilio.rest import Client

ACCOUNT_SID = "AC" + "5" * 32
AUTH_TOKEN = "token-of-these-tests"
CLINIC = "+14155550100"
PATIENT = "+14155550142"
START_SECONDS = 15.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RunningSandbox:
    """One sandbox process; ``control`` speaks to its control API."""

    def __init__(self, data_dir: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = data_dir
        self.session = requests.Session()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "voxanne.sandbox", "--port", str(self.port), "--quiet"]
        environment = {**os.environ, "TWILIO_ACCOUNT_SID": ACCOUNT_SID, "TWILIO_AUTH_TOKEN": AUTH_TOKEN}
        environment.pop("VAPI_API_KEY", None)
        self._process = subprocess.Popen(
            [*command, "--data-dir", str(self.data_dir)],
            env=environment,
            cwd=Path(__file__).resolve().parents[2],
        )
        self.wait_for(self._answers, START_SECONDS)

    def stop(self, kind: signal.Signals = signal.SIGTERM) -> int | None:
        """End the process if it runs; its exit code."""
        if self._process is None:
            return None
        self._process.send_signal(kind)
        code = self._process.wait(10)
        self._process = None
        return code

    def control(self, path: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
        """The answer's JSON; fails on a refusal."""
        chosen = method or ("GET" if body is None else "POST")
        answer = self.session.request(chosen, f"{self.url}/_control{path}", json=body, timeout=20)
        assert answer.ok, answer.text
        return answer.json()

    def fault(self, kind: str, service: str = "twilio", **more: Any) -> None:
        self.control("/faults", {"service": service, "kind": kind, **more})

    def texts(self, to: str = PATIENT) -> list[dict[str, Any]]:
        return list(self.control(f"/twilio/messages?to={to.replace('+', '%2B')}"))

    def wait_for(self, holds: Callable[[], Any], seconds: float = 8.0) -> Any:
        """Poll until ``holds()`` is true, and return what it gave."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = holds()
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError("it did not come to be in time")

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/_control/health", timeout=1).ok
        except requests.ConnectionError:
            return False


class SandboxTwilioHttpClient(TwilioHttpClient):  # type: ignore[misc]
    """The real client's transport with scheme, host and a path prefix swapped, as the product does it."""

    def __init__(self, base_url: str, timeout: float = 5.0) -> None:
        super().__init__(timeout=timeout)
        self._base = urlsplit(base_url)

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> TwilioResponse:
        parts = urlsplit(url)
        swapped = (self._base.scheme, self._base.netloc, self._base.path + parts.path, parts.query, "")
        return super().request(method, urlunsplit(swapped), *args, **kwargs)


def twilio_client(
    sandbox_url: str, sid: str = ACCOUNT_SID, token: str = AUTH_TOKEN, timeout: float = 5.0
) -> Client:
    return Client(sid, token, http_client=SandboxTwilioHttpClient(f"{sandbox_url}/twilio", timeout))


@dataclass
class Received:
    """One request the stand-in got."""

    path: str
    headers: dict[str, str]
    form: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Records every POST; ``answers``: replies by path (without query), in turn, the last one for ever."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answers: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def at(self, path: str) -> list[Received]:
        return [one for one in self.received if one.path.partition("?")[0] == path]

    def clear(self) -> None:
        self.received.clear()
        self.answers.clear()

    def reply(self, path: str) -> tuple[int, str]:
        replies = self.answers.get(path.partition("?")[0], [(200, "")])
        return replies.pop(0) if len(replies) > 1 else replies[0]


def start_receiver() -> tuple[Receiver, ThreadingHTTPServer]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(self.path, headers, form, body))
            status, text = receiver.reply(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return receiver, server


def specification(name: str) -> Any:
    """A provider's own specification beside the repository, None when it is not there."""
    path = Path(__file__).resolve().parents[3] / "shared" / "specs" / name
    return json.loads(path.read_text()) if path.exists() else None


def twilio_schema(name: str) -> jsonschema.Draft202012Validator:
    """A resource in Twilio's own specification, all its members required; skips when it is not there."""
    document = specification("twilio_api_v2010.json")
    if document is None:
        pytest.skip("Twilio's specification is not beside the repository.")
    schemas = _without_nullable(document["components"]["schemas"])
    schema = {**schemas[name], "required": list(schemas[name]["properties"]), "additionalProperties": False}
    return jsonschema.Draft202012Validator({**schema, "components": {"schemas": schemas}})


def _without_nullable(part: Any) -> Any:
    """OpenAPI 3.0's ``nullable`` said in JSON Schema."""
    if isinstance(part, list):
        return [_without_nullable(item) for item in part]
    if not isinstance(part, dict):
        return part
    new = {key: _without_nullable(value) for key, value in part.items() if key != "nullable"}
    if part.get("nullable") is True and "type" in part:
        new["type"] = [part["type"], "null"]
        if "enum" in new:
            new["enum"] = [*new["enum"], None]
    return new
