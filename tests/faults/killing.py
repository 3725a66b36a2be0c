"""Workers that are killed in the middle of a send, and what a simple retry would do about it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

import psycopg

from tests.faults import evidence
from tests.faults.stack import Stack
from voxanne.runtime.servers import postgres_superuser_url

LEAST_IN_FLIGHT = 12
ANSWER_DELAY = 0.8
IN_FLIGHT_SECONDS = 120.0
NAIVE = """
UPDATE sms_delivery_log SET state = 'queued', claim_token = NULL, claimed_until = NULL, next_attempt_at = now()
WHERE state = 'unknown' OR (state = 'sending' AND %(nobody_sends)s)
"""


def kill_mid_send(stack: Stack) -> int:
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


def words(states: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in sorted(states.items()))


def queue_again(stack: Stack, *, nobody_sends: bool) -> None:
    stack.database.execute(NAIVE, {"nobody_sends": nobody_sends})


@contextmanager
def naive_sweeper() -> Iterator[None]:
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
