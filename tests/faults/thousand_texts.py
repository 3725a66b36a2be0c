"""1,000 texts; Twilio loses answers, refuses for now and breaks down, and workers are killed: each arrives once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.faults import evidence
from tests.faults.killing import kill_mid_send, naive_sweeper, queue_again, words
from tests.faults.rows import Row
from tests.faults.stack import GAP_SECONDS, LEASE_SECONDS, Stack
from tests.faults.texts import LOOK_SECONDS, all_ended, book_texts, copies_on_phones

NAME = "thousand-texts"
TEXTS, TEXTS_OF_CONTROL = 1_000, 60
KILLS = 5
LATE_SHARE, ANSWER_DELAY = 0.5, 0.5
# Shares of the requests to send. What is refused for now counts toward the six tries that a text has: these are few
# enough that one text in some hundred thousand uses them up.
REFUSED: dict[str, dict[str, Any]] = {
    "rate_limited": {"probability": 0.025, "retry_after": 2},
    "server_error_with_body": {"probability": 0.025, "status": 503, "code": 20503},
    "server_error": {"probability": 0.03},
    "connection_reset": {"probability": 0.04},
}
LOST, SILENT = 0.15, 0.15
# An open circuit keeps texts back for half a minute at a time.
SETTLED_SECONDS = 420.0
ENDED = frozenset({"delivered", "sent", "dead_letter", "suppressed", "expired", "canceled"})
TRIES = """
SELECT count(*) FROM delivery_attempts a JOIN sms_delivery_log m ON m.id = a.message_id WHERE m.created_at >= %(mark)s
"""


def run(stack: Stack) -> Row:
    evidence.wait_until_idle(stack)
    mark = evidence.now(stack)
    stack.kill("worker")
    book_texts(stack, TEXTS)
    with _bad_twilio(stack, lost=LOST, silent=SILENT):
        in_flight = [kill_mid_send(stack) for _ in range(KILLS)]
        stack.restart("worker")
        seconds = stack.until(
            "every text has its end", lambda: all_ended(stack, mark, ENDED), SETTLED_SECONDS, LOOK_SECONDS
        )
        struck = {
            kind: stack.sandbox.struck(kind) for kind in (*REFUSED, "accepted_then_lost", "no_receipts")
        }
    phones, states = copies_on_phones(stack, mark), evidence.states_since(stack, mark)
    # A text whose receipts Twilio kept to itself is known to be sent, and no more.
    held = (
        phones == [1] * TEXTS
        and set(states) <= {"delivered", "sent"}
        and states["sent"] <= struck["no_receipts"]
    )
    figures = (
        f"{TEXTS} texts, {KILLS} workers killed with {', '.join(map(str, in_flight))} in flight; "
        f"{struck['accepted_then_lost']} answers lost, {struck['rate_limited']} × 429, "
        f"{struck['server_error_with_body']} × 503 in Twilio's words, {struck['server_error']} without, "
        f"{struck['connection_reset']} resets, {struck['no_receipts']} without receipts: {phones.count(1)} arrived "
        f"once, {sum(copies > 1 for copies in phones)} twice or more, {phones.count(0)} never, in "
        f"{evidence.one(stack, TRIES, mark=mark)} tries; {words(states)} {seconds:.0f} s after the last kill "
        f"(lease {LEASE_SECONDS} s, gap {GAP_SECONDS} s)"
    )
    return Row(NAME, figures, held)


def control(stack: Stack) -> Row:
    """The same without leases and reconciliation: what was lost goes straight back into the queue."""
    evidence.wait_until_idle(stack)
    mark = evidence.now(stack)
    stack.kill("worker")
    book_texts(stack, TEXTS_OF_CONTROL)
    with _bad_twilio(stack, lost=0.4, silent=0.6):
        in_flight = kill_mid_send(stack)
        queue_again(stack, nobody_sends=True)
        with naive_sweeper():
            stack.restart("worker")
            stack.until(
                "every text has its end", lambda: all_ended(stack, mark, ENDED), SETTLED_SECONDS, LOOK_SECONDS
            )
    phones = copies_on_phones(stack, mark)
    figures = (
        f"no lease, no reconciliation: {TEXTS_OF_CONTROL} texts, one worker killed with {in_flight} in flight: "
        f"{sum(copies > 1 for copies in phones)} arrived twice or more, {phones.count(0)} never"
    )
    return Row(NAME, figures, phones == [1] * TEXTS_OF_CONTROL)


@contextmanager
def _bad_twilio(stack: Stack, *, lost: float, silent: float) -> Iterator[None]:
    """Half of what is taken is answered late; shares of the requests, the answers and the receipts go wrong."""
    sandbox = stack.sandbox
    sandbox.clear_faults()
    sandbox.fault("slow", delay_seconds=ANSWER_DELAY, probability=LATE_SHARE)
    for kind, how in REFUSED.items():
        sandbox.fault(kind, **how)
    sandbox.fault("accepted_then_lost", probability=lost)
    sandbox.fault("no_receipts", probability=silent)
    try:
        yield
    finally:
        sandbox.clear_faults()
