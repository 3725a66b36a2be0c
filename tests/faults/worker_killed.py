"""The worker is killed while it sends, again and again, and Twilio's answers get lost."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import psycopg

from tests.faults import evidence
from tests.faults.rows import Row
from tests.faults.stack import COOL_DOWN_SECONDS, GAP_SECONDS, LEASE_SECONDS, Stack
from tests.faults.texts import book_texts, copies_on_phones
from voxanne.runtime.servers import postgres_superuser_url

NAME = "worker-killed"
TEXTS, TEXTS_OF_CONTROL = 120, 40
KILLS = 3
LEAST_IN_FLIGHT = 12
ANSWER_DELAY = 0.8
# Lost answers open the clinic's circuit again and again: each time what waits rests for a cool-down.
SETTLED_SECONDS = 240.0
IN_FLIGHT_SECONDS = 120.0
ENDED = {"delivered", "dead_letter", "sent"}
NAIVE = """
UPDATE sms_delivery_log SET state = 'queued', claim_token = NULL, claimed_until = NULL, next_attempt_at = now()
WHERE state = 'unknown' OR (state = 'sending' AND %(nobody_sends)s)
"""


def run(stack: Stack) -> Row:
    mark = evidence.now(stack)
    with _lossy_twilio(stack, lost=0.25, silent=0.2):
        stack.kill("worker")
        book_texts(stack, TEXTS)
        in_flight = [_kill_mid_send(stack) for _ in range(KILLS)]
        stack.restart("worker")
        seconds = stack.until("every text has its end", lambda: _all_ended(stack, mark), SETTLED_SECONDS)
        without_receipts = stack.sandbox.struck("no_receipts")
        lost, reset = (stack.sandbox.struck(kind) for kind in ("accepted_then_lost", "connection_reset"))
    phones = copies_on_phones(stack, mark)
    states = evidence.states_since(stack, mark)
    # A text whose receipts Twilio kept to itself is known to be sent, and no more.
    held = phones == [1] * TEXTS and states["sent"] <= without_receipts and not states["dead_letter"]
    figures = (
        f"{TEXTS} texts, worker killed {KILLS} times with {', '.join(map(str, in_flight))} in flight, {lost} answers "
        f"lost, {reset} connections reset, {without_receipts} without receipts: {phones.count(1)} arrived once, "
        f"{sum(copies > 1 for copies in phones)} twice or more, {phones.count(0)} never; {_words(states)} "
        f"{seconds:.0f} s after the last kill (lease {LEASE_SECONDS} s, gap {GAP_SECONDS} s, cool-down "
        f"{COOL_DOWN_SECONDS} s; production 30, 60 and 30)"
    )
    return Row(NAME, figures, held)


def control(stack: Stack) -> Row:
    """The same without leases and reconciliation: what was lost goes straight back into the queue."""
    mark = evidence.now(stack)
    with _lossy_twilio(stack, lost=0.4, silent=0.6):
        stack.kill("worker")
        book_texts(stack, TEXTS_OF_CONTROL)
        in_flight = _kill_mid_send(stack)
        _queue_again(stack, nobody_sends=True)
        with _naive_sweeper():
            stack.restart("worker")
            stack.until("every text has its end", lambda: _all_ended(stack, mark), SETTLED_SECONDS)
    phones = copies_on_phones(stack, mark)
    doubled = sum(copies > 1 for copies in phones)
    figures = (
        f"no lease, no reconciliation: {TEXTS_OF_CONTROL} texts, one kill with {in_flight} in flight: {doubled} "
        f"arrived twice or more, {phones.count(0)} never"
    )
    return Row(NAME, figures, phones == [1] * TEXTS_OF_CONTROL)


@contextmanager
def _lossy_twilio(stack: Stack, *, lost: float, silent: float) -> Iterator[None]:
    """Texts are accepted, some of them late, and answered later still; some connections are cut before, and shares
    of the answers and of the receipts are lost."""
    sandbox = stack.sandbox
    sandbox.clear_faults()
    sandbox.fault("slow", delay_seconds=ANSWER_DELAY)
    sandbox.fault("slow_before", delay_seconds=ANSWER_DELAY, probability=0.3)
    sandbox.fault("connection_reset", probability=0.08)
    sandbox.fault("accepted_then_lost", probability=lost)
    sandbox.fault("no_receipts", probability=silent)
    try:
        yield
    finally:
        sandbox.clear_faults()


def _kill_mid_send(stack: Stack) -> int:
    """Starts the worker, kills it while it sends, and tells how many texts it had in flight."""
    began = evidence.now(stack)
    stack.restart("worker")
    stack.until("the worker sends", lambda: _in_flight(stack, began) >= LEAST_IN_FLIGHT, IN_FLIGHT_SECONDS)
    time.sleep(random.uniform(0, ANSWER_DELAY))
    stack.kill("worker")
    return _in_flight(stack, began)


def _in_flight(stack: Stack, began: datetime) -> int:
    """Tries that began since then and have no outcome yet."""
    query = "SELECT count(*) FROM delivery_attempts WHERE started_at >= %(began)s AND finished_at IS NULL"
    return int(evidence.one(stack, query, began=began))


def _all_ended(stack: Stack, mark: datetime) -> bool:
    time.sleep(0.2)
    states = evidence.states_since(stack, mark)
    return set(states) <= ENDED and states["sent"] <= stack.sandbox.struck("no_receipts")


def _words(states: dict[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in sorted(states.items()))


def _queue_again(stack: Stack, *, nobody_sends: bool) -> None:
    stack.database.execute(NAIVE, {"nobody_sends": nobody_sends})


@contextmanager
def _naive_sweeper() -> Iterator[None]:
    """Puts texts of unknown fate back into the queue at once, as a simple retry would."""
    ended = threading.Event()

    def sweep() -> None:
        with psycopg.connect(postgres_superuser_url() or "", autocommit=True) as database:
            while not ended.wait(0.1):
                database.execute(NAIVE, {"nobody_sends": False})

    thread = threading.Thread(target=sweep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
