"""A Twilio on a real socket that says how each try goes, and that alone knows what lies on the phones.

For properties over thousands of runs, in one process with the code under test: it goes by the same clock, also a
travelled one. What Twilio's own pages say of each address is tested against the sandbox.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

from django.db import connections
from django.utils import timezone

from tests.messaging.broken_servers import nobody_listening

CALLBACK = "/sms-status/"
# However many a page may hold by what was asked, so that looking a text up has to turn pages.
TEXTS_A_PAGE = 2
# A request whose answer nobody waits for any more may be taken up this much later: sooner than the second look.
LATE = timedelta(seconds=50)
OPTED_OUT_LATER = 30004

# What becomes of a request to send: whether Twilio takes the text, then the answer; without a status there is none.
TAKES = {"accepted", "killed", "lost after", "no words after", "breaks off"}
REFUSALS = {
    "busy": (429, 20429),
    "faulty": (500, 20500),
    "refused": (400, 21614),
    "opted out": (400, 21610),
    "account": (401, 20003),
}


@dataclass
class Taken:
    """A text that Twilio took, and how far its receipts have come. ``fails_with`` is the code with which it will not
    arrive; ``told_failed`` once we were told so."""

    sid: str
    message_id: UUID
    recipient: str
    sender: str
    body: str
    fails_with: int | None
    at: datetime
    status: str = "queued"
    told_failed: bool = False

    @property
    def path(self) -> list[str]:
        return ["sending", "sent", "undelivered" if self.fails_with else "delivered"]

    @property
    def may_be_on_a_phone(self) -> bool:
        """As far as we have been told."""
        return not self.told_failed

    def advance(self, step: int) -> str:
        """The status that a receipt of this step tells; Twilio's own only goes forward."""
        known = self.path.index(self.status) if self.status in self.path else 0
        self.status = self.path[max(step, known)]
        self.told_failed |= self.path[step] == "undelivered"
        return self.path[step]

    def shown(self, *, with_body: bool) -> dict[str, Any]:
        """As Twilio's REST API shows it."""
        self.told_failed |= self.status == "undelivered"
        return {
            "sid": self.sid,
            "to": self.recipient,
            "from": self.sender,
            "body": self.body if with_body else "",
            "status": self.status,
            "date_created": format_datetime(self.at),
            "error_code": self.fails_with if self.status == "undelivered" else None,
        }


@dataclass
class PretendTwilio:
    """``how`` the next request goes, or ``always`` every one; ``lists`` False: nothing can be looked up. ``reached``:
    requests to send, by message."""

    how: str = "accepted"
    always: str = ""
    fails_with: int | None = None
    lists: bool = True
    keeps_bodies: bool = True
    # What happens between Twilio's taking of the text and the answer's reaching us.
    meanwhile: Callable[[], None] | None = None
    taken: list[Taken] = field(default_factory=list)
    late: list[Taken] = field(default_factory=list)
    reached: Counter[UUID] = field(default_factory=Counter)
    mishap: BaseException | None = None
    _serial: Any = field(default_factory=lambda: count(1))

    def create(self, form: dict[str, str]) -> tuple[int | None, Any, str]:
        """(status, body, Retry-After) of the answer to a request to send; without a status there is none."""
        how, self.how = self.always or self.how, "accepted"
        text = self._read(form)
        self.reached[text.message_id] += 1
        if how in TAKES:
            self.taken.append(text)
        if how == "taken late":
            text.at += LATE
            self.late.append(text)
        self._meanwhile()
        if how in REFUSALS:
            status, code = REFUSALS[how]
            return status, {"code": code, "message": "No.", "status": status}, "3" if how == "busy" else ""
        if how in ("no words after", "no words before"):
            return 503, "<html>upstream connect error</html>", ""
        if how == "breaks off":
            return 201, "", ""
        return (201, text.shown(with_body=True), "") if how in ("accepted", "killed") else (None, "", "")

    def listing(self, asked: dict[str, str]) -> tuple[int | None, Any, str]:
        if not self.lists:
            return 503, "<html>upstream connect error</html>", ""
        self.take_up_late_ones()
        wanted = [
            one for one in self.taken if (one.recipient, one.sender) == (asked.get("To"), asked.get("From"))
        ]
        newest_first = sorted(wanted, key=lambda one: one.at, reverse=True)
        page = int(asked.get("Page", 0))
        chosen = newest_first[page * TEXTS_A_PAGE : (page + 1) * TEXTS_A_PAGE]
        more = len(newest_first) > (page + 1) * TEXTS_A_PAGE
        following = f"/2010-04-01/Accounts/AC/Messages.json?{urlencode({**asked, 'Page': page + 1})}"
        shown = [one.shown(with_body=self.keeps_bodies) for one in chosen]
        return 200, {"messages": shown, "next_page_uri": following if more else None}, ""

    def fetch(self, sid: str) -> tuple[int | None, Any, str]:
        if not self.lists:
            return 503, "<html>upstream connect error</html>", ""
        found = [one for one in self.taken if one.sid == sid]
        if not found:
            return 404, {"code": 20404, "message": "Not there.", "status": 404}, ""
        return 200, found[0].shown(with_body=self.keeps_bodies), ""

    def take_up_late_ones(self) -> None:
        due = [one for one in self.late if one.at <= timezone.now()]
        self.late = [one for one in self.late if one not in due]
        self.taken += due

    def _read(self, form: dict[str, str]) -> Taken:
        assert 1 <= int(form["ValidityPeriod"]) <= 36_000
        message_id = UUID(form["StatusCallback"].rpartition(CALLBACK)[2].partition("#")[0])
        sid = f"SM{next(self._serial):032x}"
        return Taken(sid, message_id, form["To"], form["From"], form["Body"], self.fails_with, timezone.now())

    def _meanwhile(self) -> None:
        what, self.meanwhile = self.meanwhile, None
        if what is None:
            return
        try:
            what()
        except BaseException as error:
            self.mishap = error
        finally:
            connections.close_all()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    exchange: Exchange

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self._answer(*self.exchange.twilio.create(_flat(body)))

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        one = asked.path.rpartition("/Messages/")[2].removesuffix(".json")
        if one.startswith("SM"):
            self._answer(*self.exchange.twilio.fetch(one))
        else:
            self._answer(*self.exchange.twilio.listing(_flat(asked.query)))

    def _answer(self, status: int | None, said: Any, retry_after: str) -> None:
        if status is None:
            self.close_connection = True
            return
        raw = (said if isinstance(said, str) else json.dumps(said)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args: Any) -> None:
        return


def _flat(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}


@dataclass
class Exchange:
    """Whoever answers as Twilio at ``url``; nobody does at ``deaf_url``, where connecting is refused."""

    url: str
    deaf_url: str
    twilio: PretendTwilio = field(default_factory=PretendTwilio)


@contextmanager
def serving() -> Iterator[Exchange]:
    """An exchange for as long as the block runs."""

    class Ours(Handler):
        """This exchange's, and no other's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ours)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    with nobody_listening() as deaf_url:
        exchange = Exchange(f"http://127.0.0.1:{server.server_port}", deaf_url)
        Ours.exchange = exchange
        try:
            yield exchange
        finally:
            server.shutdown()
            server.server_close()
            thread.join(timeout=5)
