"""One test event through Sentry and one through Slack, and what arrived.

Where one is not configured the event goes to a small server of our own on this machine, by the same client
code, so that the way out and the scrubbing are seen to work all the same.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import sentry_sdk
from django.conf import settings

from monitoring import error_reports
from monitoring.alerts import Alert, NotPosted, Severity, SlackChannel, configured_channel, post, text_of

FLUSH_SECONDS = 5.0
# Made-up personal data: seeing any of it on the other side is a failure.
BAIT = "+14155550142"


@dataclass(frozen=True, slots=True)
class Arrival:
    """``where`` the event went, whether it ``arrived`` there, and what was seen of it."""

    service: str
    where: str
    arrived: bool
    seen: str


@dataclass
class Sink:
    """A server on this machine that takes what Sentry and Slack would, and keeps it."""

    port: int
    bodies: list[bytes] = field(default_factory=list)

    @property
    def slack_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sentry_dsn(self) -> str:
        return f"http://sandbox@127.0.0.1:{self.port}/1"


@contextmanager
def sink() -> Iterator[Sink]:
    """A running Sink on a free port of the loopback."""
    kept = Sink(port=0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            kept.bodies.append(
                gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            )
            answer = json.dumps({"ok": True, "id": "sandbox"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Says nothing: the command prints what arrived."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def verify_sentry() -> Arrival:
    """Reports a made-up exception; with a DSN of ours, Sentry's own page is where to look for it."""
    if settings.SENTRY_DSN:
        event_id = _report()
        return Arrival("Sentry", "the configured project", event_id is not None, f"event {event_id}")
    with sink() as here:
        # The logging and Django integrations stay as they are: this client is for one event.
        client = sentry_sdk.Client(dsn=here.sentry_dsn, **_without_integrations(error_reports.options()))
        with sentry_sdk.isolation_scope() as scope:
            scope.set_client(client)
            _report()
        client.close(timeout=FLUSH_SECONDS)
        return _arrival_at_sink("Sentry", here)


def _without_integrations(options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "default_integrations": False, "integrations": []}


def _report() -> str | None:
    with sentry_sdk.new_scope() as scope:
        scope.set_extra("patientPhone", BAIT)
        try:
            raise RuntimeError(f"A test event of verify_monitoring; the number {BAIT} must not be readable.")
        except RuntimeError as error:
            event_id = sentry_sdk.capture_exception(error)
    sentry_sdk.flush(timeout=FLUSH_SECONDS)
    return event_id


def verify_slack() -> Arrival:
    """Posts one message to the alerts channel, past the throttle."""
    text = text_of(
        Alert(Severity.INFO, "verify", f"A test message of verify_monitoring; {BAIT} must not be readable.")
    )
    channel = configured_channel()
    if channel.token:
        return _post(text, channel)
    with sink() as here:
        posted = _post(text, SlackChannel(here.slack_url, "sandbox", channel.name))
        return _arrival_at_sink("Slack", here) if posted.arrived else posted


def _post(text: str, channel: SlackChannel) -> Arrival:
    where = f"channel {channel.name}"
    try:
        post(text, channel)
    except NotPosted as error:
        return Arrival("Slack", where, arrived=False, seen=str(error))
    return Arrival("Slack", where, arrived=True, seen=text.splitlines()[0])


def _arrival_at_sink(service: str, here: Sink) -> Arrival:
    where = "a sandbox on this machine (not configured)"
    if not here.bodies:
        return Arrival(service, where, arrived=False, seen="Nothing arrived.")
    whole = b"\n".join(here.bodies).decode(errors="replace")
    if BAIT in whole or BAIT.removeprefix("+") in whole:
        return Arrival(
            service, where, arrived=False, seen="It arrived with a phone number in it: do not go live."
        )
    return Arrival(service, where, arrived=True, seen=f"{len(whole)} bytes, nothing personal in them.")
