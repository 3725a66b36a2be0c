"""Twilio is away for ten minutes, first out of reach, then with nothing but errors, while texts are queued."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from tests.faults import evidence
from tests.faults.killing import words
from tests.faults.rows import Row
from tests.faults.stack import Stack
from tests.faults.texts import book_texts, copies_on_phones
from voxanne.runtime.faults import RuntimeFault

NAME = "twilio-down"
MINUTES_OUT_OF_REACH, MINUTES_OF_ERRORS = 5, 5
TEXTS, TEXTS_A_MINUTE, TOO_LATE, TEXTS_OF_CONTROL = 200, 3, 10, 30
# An open circuit asks again every half a minute; then the queue goes out.
BACK_SECONDS = 180.0
ROUND_SECONDS = 60.0
WAITING = ("queued", "sending", "unknown")

# The waiting alone is cut short: what waits is a minute older, and the workers and Twilio are as they are.
A_MINUTE_PASSES = """
UPDATE sms_delivery_log SET next_attempt_at = next_attempt_at - interval '1 min',
       expires_at = expires_at - interval '1 min', first_attempted_at = first_attempted_at - interval '1 min',
       unknown_since = unknown_since - interval '1 min', first_empty_list_at = first_empty_list_at - interval '1 min'
WHERE created_at >= %s AND state IN ('queued', 'unknown')
"""
NOT_GONE_OVER = """
SELECT count(*) FROM sms_delivery_log
WHERE created_at >= %(mark)s AND (state = 'sending' OR state IN ('queued', 'unknown') AND next_attempt_at <= now())
"""
OF_USE_FOR_LESS = """
UPDATE sms_delivery_log SET expires_at = now() + interval '3 min'
WHERE id IN (SELECT id FROM sms_delivery_log WHERE created_at >= %s ORDER BY id LIMIT %s)
"""
TRIES = "SELECT coalesce(max(attempts), 0) FROM sms_delivery_log WHERE created_at >= %(mark)s"
# Waiting in vain costs a try, as it does where nobody tells "never connected" from "refused".
WAITING_COSTS = """
CREATE FUNCTION waiting_costs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    NEW.attempts := OLD.attempts + 1;
    IF NEW.attempts > 5 THEN NEW.state := 'dead_letter'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER waiting_costs BEFORE UPDATE ON sms_delivery_log FOR EACH ROW
    WHEN (NEW.state = 'queued' AND NEW.next_attempt_at > OLD.next_attempt_at AND NEW.attempts = OLD.attempts)
    EXECUTE FUNCTION waiting_costs();
"""
WAITING_IS_FREE = "DROP TRIGGER waiting_costs ON sms_delivery_log; DROP FUNCTION waiting_costs();"


def run(stack: Stack) -> Row:
    evidence.wait_until_idle(stack)
    mark = evidence.now(stack)
    with _out_of_reach(stack):
        book_texts(stack, TEXTS)
        stack.database.execute(OF_USE_FOR_LESS, [mark, TOO_LATE])
        _minutes_pass(stack, mark, MINUTES_OUT_OF_REACH)
        with _nothing_but_errors(stack):
            stack.sandbox.turn_gate(stack.twilio_port, "open")
            _minutes_pass(stack, mark, MINUTES_OF_ERRORS)
    waited = evidence.states_since(stack, mark)
    seconds = stack.until("every text has its end", lambda: _none_waits(stack, mark), BACK_SECONDS)
    phones, states = copies_on_phones(stack, mark), evidence.states_since(stack, mark)
    sent = len(phones) - TOO_LATE
    held = (
        sorted(phones) == [0] * TOO_LATE + [1] * sent
        and states["expired"] == TOO_LATE
        and states["delivered"] + states["sent"] == sent
    )
    figures = (
        f"{TEXTS} texts queued and {TEXTS_A_MINUTE} more every minute, {MINUTES_OUT_OF_REACH} min out of reach and "
        f"{MINUTES_OF_ERRORS} min of 503s: {words(waited)} at its return, all ended {seconds:.0f} s after it: "
        f"{phones.count(1)} arrived once, {sum(copies > 1 for copies in phones)} twice or more, "
        f"{TOO_LATE} whose time was over by then never; {words(states)}; most tries used "
        f"{evidence.one(stack, TRIES, mark=mark)}"
    )
    return Row(NAME, figures, held)


def control(stack: Stack) -> Row:
    """The same where waiting in vain costs a try."""
    evidence.wait_until_idle(stack)
    mark = evidence.now(stack)
    stack.database.execute(WAITING_COSTS)
    try:
        with _out_of_reach(stack):
            book_texts(stack, TEXTS_OF_CONTROL)
            _minutes_pass(stack, mark, MINUTES_OUT_OF_REACH + MINUTES_OF_ERRORS)
        stack.until("every text has its end", lambda: _none_waits(stack, mark), BACK_SECONDS)
    finally:
        stack.database.execute(WAITING_IS_FREE)
    phones, states = copies_on_phones(stack, mark), evidence.states_since(stack, mark)
    figures = f"waiting costs a try: {phones.count(0)} of {len(phones)} texts never arrived; {words(states)}"
    return Row(NAME, figures, not states["dead_letter"])


@contextmanager
def _out_of_reach(stack: Stack) -> Iterator[None]:
    """Connecting to Twilio is refused."""
    stack.sandbox.turn_gate(stack.twilio_port, "shut")
    try:
        yield
    finally:
        stack.sandbox.turn_gate(stack.twilio_port, "open")


@contextmanager
def _nothing_but_errors(stack: Stack) -> Iterator[None]:
    """Every question is answered by a 503 that says nothing of what became of it."""
    stack.sandbox.fault("server_error")
    stack.sandbox.fault("server_error", method="GET")
    try:
        yield
    finally:
        stack.sandbox.clear_faults()


def _minutes_pass(stack: Stack, mark: datetime, minutes: int) -> None:
    """In each of them people book, and the workers go over whatever is due."""
    for _ in range(minutes):
        book_texts(stack, TEXTS_A_MINUTE)
        stack.database.execute(A_MINUTE_PASSES, [mark])
        _until_gone_over(stack, mark)


def _until_gone_over(stack: Stack, mark: datetime) -> None:
    """New ones become due all the time: not for ever."""
    ends = time.monotonic() + ROUND_SECONDS
    while time.monotonic() < ends and evidence.one(stack, NOT_GONE_OVER, mark=mark):
        time.sleep(0.1)
    if evidence.one(stack, NOT_GONE_OVER, mark=mark) > TEXTS // 2:
        raise RuntimeFault("The workers do not keep up with texts that become due.")


def _none_waits(stack: Stack, mark: datetime) -> bool:
    time.sleep(0.2)
    states = evidence.states_since(stack, mark)
    return not any(states[state] for state in WAITING)
