"""PostgreSQL stops, and people ring the clinic: its line rings all the same."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.faults import evidence
from tests.faults.callers import new_caller
from tests.faults.evidence import one
from tests.faults.missed_calls import AGE
from tests.faults.rows import Row
from tests.faults.stack import Stack

NAME = "database-stopped"
CALLS = 5
SLOWEST_SECONDS = 5.0
BACK_SECONDS = 30.0
LAST_KNOWN = "without-database/lines"
SEEN = "SELECT count(*) FROM active_calls WHERE from_number = %(caller)s"


@dataclass(frozen=True)
class Heard:
    """What callers got while the database was away, and how long the slowest waited for it to ring."""

    rang: int
    slowest: float
    vapi: str
    tools: str
    status: int
    health: int


def run(stack: Stack) -> Row:
    evidence.wait_until_quiet(stack)
    _connect(stack)
    in_vain = new_caller()
    with _database_away(stack):
        heard = _ring(stack)
        stack.sandbox.ring(in_vain, stack.clinic["number"], outcome="no-answer", ring_seconds=0.1, wait=True)
    back = _until_back(stack)
    texted = _texts_once_looked_up(stack, in_vain)
    figures = (
        f"{CALLS} calls while it was away: the clinic's line rang at {heard.rang}, the slowest after "
        f"{heard.slowest * 1000:.0f} ms; Vapi's assistant-request: {heard.vapi}; tool call: {heard.tools}; call status "
        f"{heard.status}, health {heard.health}; a call is on record again {back:.1f} s after its return; whoever "
        f"rang in vain meanwhile got {texted} text"
    )
    held = (
        heard.rang == CALLS
        and heard.slowest < SLOWEST_SECONDS
        and (heard.vapi, heard.tools) == ("clinic's line", "spoken error")
        and (heard.status, heard.health) == (503, 503)
        and texted == 1
    )
    return Row(NAME, figures, held)


def control(stack: Stack) -> Row:
    """The same with nothing kept outside the database."""
    evidence.wait_until_quiet(stack)
    _connect(stack)
    with _nothing_kept(stack), _database_away(stack):
        heard = _ring(stack)
    _until_back(stack)
    return Row(NAME, f"nothing kept: the clinic's line rang at {heard.rang} of {CALLS}", heard.rang == CALLS)


def _connect(stack: Stack) -> None:
    stack.sandbox.connect_number(stack.clinic["number"], stack.backend_url)


def _ring(stack: Stack) -> Heard:
    callers = [new_caller() for _ in range(CALLS)]
    slowest, rang = 0.0, 0
    for caller in callers:
        began = time.monotonic()
        stack.sandbox.ring(
            caller, stack.clinic["number"], outcome="answered", ring_seconds=0.1, talk_seconds=0.1, wait=True
        )
        slowest = max(slowest, time.monotonic() - began - 0.2)
        rang += stack.clinic["forward_to"] in stack.sandbox.dialled_by(caller)
    calls = {"call": {"id": "a-call", "phoneNumberId": stack.clinic["vapi_phone_number_id"]}}
    request = _vapi(stack, {"type": "assistant-request", **calls})
    tool = {"id": "call_1", "type": "function", "function": {"name": "lookupCaller", "arguments": {}}}
    tools = _vapi(stack, {"type": "tool-calls", "toolCallList": [tool], **calls})
    number = (request.get("destination") or {}).get("number")
    return Heard(
        rang=rang,
        slowest=slowest,
        vapi="clinic's line" if number == stack.clinic["forward_to"] else json.dumps(request),
        tools="spoken error" if tools.get("results", [{}])[0].get("error") else json.dumps(tools),
        status=stack.sandbox.last_status("/call-status"),
        health=requests.get(f"{stack.backend_url}/health", timeout=20).status_code,
    )


def _texts_once_looked_up(stack: Stack, caller: str) -> int:
    """How many texts a caller has whose call rang while nothing could be recorded."""

    def texted() -> bool:
        stack.poll_missed_calls()
        stack.database.execute(AGE)
        return bool(stack.sandbox.texts_of(caller))

    stack.until("a text", texted, BACK_SECONDS)
    # A second one would come now.
    stack.poll_missed_calls()
    evidence.wait_until_quiet(stack)
    return stack.sandbox.texts_of(caller)


def _vapi(stack: Stack, message: dict[str, Any]) -> dict[str, Any]:
    answer = requests.post(
        f"{stack.backend_url}/api/webhooks/vapi",
        json={"message": message},
        headers={"X-Vapi-Secret": stack.clinic["vapi_secret"]},
        timeout=20,
    )
    found: dict[str, Any] = answer.json()
    return found


def _until_back(stack: Stack) -> float:
    """Seconds until a call is answered from the database again."""

    def on_record() -> bool:
        caller = new_caller()
        stack.sandbox.ring(
            caller, stack.clinic["number"], outcome="answered", ring_seconds=0.1, talk_seconds=0.1, wait=True
        )
        return int(one(stack, SEEN, caller=caller)) == 1

    return stack.until("a call on record", on_record, BACK_SECONDS)


@contextmanager
def _database_away(stack: Stack) -> Iterator[None]:
    stack.stop_postgres()
    try:
        yield
    finally:
        stack.start_postgres()


@contextmanager
def _nothing_kept(stack: Stack) -> Iterator[None]:
    kept = Path(stack.options.data) / LAST_KNOWN
    aside = kept.with_name("lines-aside")
    kept.rename(aside)
    try:
        yield
    finally:
        for path in aside.iterdir():
            kept.mkdir(mode=0o700, exist_ok=True)
            path.rename(kept / path.name)
        aside.rmdir()
