"""Callers on the phone: signed tool calls over keep-alive HTTP, each caller a thread with a connection of its own."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from http.client import HTTPConnection, HTTPException
from itertools import count
from typing import Any

from voxanne.runtime.faults import RuntimeFault

PATH = "/api/vapi/tools"
NULL_PATH = "/health/live"
ANSWER_SECONDS = 30.0
_serials = count()


@dataclass(frozen=True)
class Prepared:
    """One request, signed before the clock starts."""

    body: bytes
    headers: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """One answer and how long it took; ``result`` is None, and ``fault`` says why, when the tool did not answer."""

    milliseconds: float
    result: dict[str, Any] | None = None
    fault: str = ""

    @property
    def booked(self) -> bool:
        return bool(self.result and self.result.get("ok"))

    @property
    def politely_refused(self) -> bool:
        """Refused because the time is taken, with a sentence to speak and other times to offer."""
        result = self.result or {}
        offered = [day for day in result.get("alternatives") or [] if day.get("slots")]
        return result.get("code") == "slot_unavailable" and bool(result.get("say")) and bool(offered)


def new_caller() -> str:
    """A number that has not called before."""
    return f"+1415{2_000_000 + next(_serials):07d}"


def booking(clinic: dict[str, Any], day: date, at: str, **more: Any) -> Prepared:
    """A new caller's wish for the clinic's local ``at`` (HH:MM) of ``day``."""
    arguments = {
        "appointmentDate": day.isoformat(),
        "appointmentTime": at,
        "patientName": "Dana Ruiz",
        **more,
    }
    return tool_call(clinic, "bookClinicAppointment", arguments)


def tool_call(clinic: dict[str, Any], tool: str, arguments: dict[str, Any]) -> Prepared:
    """One tool call in a call of its own, signed by HMAC with the clinic's secret."""
    call_id, caller = str(uuid.uuid4()), new_caller()
    wanted = {
        "id": f"call_{call_id[:8]}",
        "type": "function",
        "function": {"name": tool, "arguments": arguments},
    }
    number = {"id": clinic["vapi_phone_number_id"], "number": clinic["number"]}
    call = {
        "id": call_id,
        "type": "inboundPhoneCall",
        "phoneNumberId": number["id"],
        "customer": {"number": caller},
    }
    message = {"type": "tool-calls", "toolCallList": [wanted], "call": call, "phoneNumber": number}
    body = json.dumps({"message": {**message, "customer": {"number": caller}}}).encode()
    stamp = str(int(time.time()))
    signed = hmac.new(clinic["vapi_secret"].encode(), stamp.encode() + b"." + body, hashlib.sha256)
    headers = {
        "Content-Type": "application/json",
        "x-vapi-timestamp": stamp,
        "x-vapi-signature": signed.hexdigest(),
    }
    return Prepared(body, headers)


class Line:
    """One caller's connection to the web server."""

    def __init__(self, port: int) -> None:
        self._http = HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        self._http.connect()

    def ask(self, prepared: Prepared) -> Answer:
        began = time.perf_counter()
        try:
            self._http.request("POST", PATH, prepared.body, prepared.headers)
            reply = self._http.getresponse()
            status, body = reply.status, reply.read()
        except (OSError, HTTPException) as error:
            # The next request opens the line anew.
            self._http.close()
            return Answer((time.perf_counter() - began) * 1000, fault=repr(error))
        return _read(status, body, (time.perf_counter() - began) * 1000)

    def ask_nothing(self) -> Answer:
        """The time of an answer that costs the server nothing, to judge the others by."""
        began = time.perf_counter()
        self._http.request("GET", NULL_PATH)
        self._http.getresponse().read()
        return Answer((time.perf_counter() - began) * 1000)

    def close(self) -> None:
        self._http.close()


def _read(status: int, body: bytes, milliseconds: float) -> Answer:
    if status != 200:
        return Answer(milliseconds, fault=f"status {status}: {body[:200].decode(errors='replace')}")
    entry = json.loads(body)["results"][0]
    if "result" not in entry:
        return Answer(milliseconds, fault=f"error: {entry.get('error')}")
    return Answer(milliseconds, json.loads(entry["result"]))


def all_at_once(port: int, requests: Sequence[Prepared]) -> list[Answer]:
    """Every request from a caller of its own, all connected before the first one speaks."""
    return [answer for (answer,) in talk(port, [partial(_ask_all, [wish]) for wish in requests])]


def one_after_another(port: int, requests: Sequence[Prepared], callers: int = 8) -> list[Answer]:
    """The requests shared out to a few callers, each asking its own one after another."""
    shares = [requests[index::callers] for index in range(min(callers, len(requests)))]
    talks = talk(port, [partial(_ask_all, share) for share in shares])
    return [answer for answers in talks for answer in answers]


def _ask_all(wishes: Sequence[Prepared], line: Line) -> list[Answer]:
    return [line.ask(wish) for wish in wishes]


def slowest_of_nothing(port: int, callers: int) -> float:
    """Milliseconds of the slowest of so many answers that cost nothing, asked for at once."""
    answers = talk(port, [lambda line: [line.ask_nothing()] for _ in range(callers)])
    return max(answer.milliseconds for (answer,) in answers)


Conversation = Callable[[Line], list[Answer]]


def talk(port: int, conversations: Sequence[Conversation]) -> list[list[Answer]]:
    """Runs each conversation in a thread on a line of its own; all begin together."""
    heard: list[list[Answer]] = [[] for _ in conversations]
    start_line = threading.Barrier(len(conversations))

    def caller(index: int) -> None:
        line = Line(port)
        start_line.wait(ANSWER_SECONDS)
        heard[index] = conversations[index](line)
        line.close()

    threads = [
        threading.Thread(target=caller, args=(index,), daemon=True) for index in range(len(conversations))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not all(heard):
        raise RuntimeFault("A caller could not connect, or was cut off.")
    return heard
