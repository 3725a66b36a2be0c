"""The worker is killed while it sends, again and again, and Twilio's answers get lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults import evidence
from tests.faults.killing import ANSWER_DELAY, kill_mid_send, naive_sweeper, queue_again, words
from tests.faults.rows import Row
from tests.faults.stack import COOL_DOWN_SECONDS, GAP_SECONDS, LEASE_SECONDS, Stack
from tests.faults.texts import LOOK_SECONDS, all_ended, book_texts, copies_on_phones

NAME = "worker-killed"
TEXTS, TEXTS_OF_CONTROL = 400, 40
KILLS = 3
# Lost answers open the clinic's circuit again and again: each time what waits rests for a cool-down.
SETTLED_SECONDS = 240.0
ENDED = frozenset({"delivered", "dead_letter", "sent"})


def run(stack: Stack) -> Row:
    mark = evidence.now(stack)
    with _lossy_twilio(stack, lost=0.25, silent=0.2):
        stack.kill("worker")
        book_texts(stack, TEXTS)
        in_flight = [kill_mid_send(stack) for _ in range(KILLS)]
        stack.restart("worker")
        seconds = stack.until(
            "every text has its end", lambda: all_ended(stack, mark, ENDED), SETTLED_SECONDS, LOOK_SECONDS
        )
        without_receipts = stack.sandbox.struck("no_receipts")
        lost, reset = (stack.sandbox.struck(kind) for kind in ("accepted_then_lost", "connection_reset"))
    phones = copies_on_phones(stack, mark)
    states = evidence.states_since(stack, mark)
    # A text whose receipts Twilio kept to itself is known to be sent, and no more.
    held = phones == [1] * TEXTS and states["sent"] <= without_receipts and not states["dead_letter"]
    figures = (
        f"{TEXTS} texts, worker killed {KILLS} times with {', '.join(map(str, in_flight))} in flight, {lost} answers "
        f"lost, {reset} connections reset, {without_receipts} without receipts: {phones.count(1)} arrived once, "
        f"{sum(copies > 1 for copies in phones)} twice or more, {phones.count(0)} never; {words(states)} "
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
        in_flight = kill_mid_send(stack)
        queue_again(stack, nobody_sends=True)
        with naive_sweeper():
            stack.restart("worker")
            stack.until(
                "every text has its end", lambda: all_ended(stack, mark, ENDED), SETTLED_SECONDS, LOOK_SECONDS
            )
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
