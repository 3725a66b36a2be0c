"""Nobody at the clinic takes a call, and Twilio tells us once, three times over, or never: one text a caller."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from tests.faults import evidence
from tests.faults.callers import new_caller
from tests.faults.evidence import one, without
from tests.faults.rows import Row
from tests.faults.stack import Stack
from tests.guards import ONE_TEXT_BACK

NAME = "missed-calls"
CALLS_A_KIND = 12
# How Twilio tells of the dial's end; all of it at once with the poller, who is rung for again and again.
KINDS: dict[str, dict[str, Any]] = {
    "told": {},
    "told three times": {"repeat_dial_result": 3},
    "never told": {"lose_dial_result": True, "lose_status": True},
}
RING_SECONDS = 2.0
SETTLED_SECONDS, ARRIVED_SECONDS = 30.0, 30.0
MOST_SECONDS_TO_TEXT = 3.0
POLLERS = 2

# Calls are looked up from 31 s of age on: a run need not wait so long.
AGE = (
    "UPDATE active_calls SET created_at = now() - interval '40 s' WHERE created_at > now() - interval '31 s'"
)
UNSETTLED = (
    "SELECT count(*) FROM active_calls WHERE created_at > %(mark)s - interval '1 min' AND outcome = ''"
)
PATHS = """
SELECT settled_by, count(*) FROM active_calls WHERE outcome = 'missed' AND processed_at > %(mark)s GROUP BY 1
"""
SLOWEST = """
SELECT coalesce(max(extract(epoch FROM text_requested_at - processed_at)), 0) FROM active_calls
WHERE processed_at > %(mark)s
"""
UNSENT = """
SELECT count(*) FROM sms_delivery_log WHERE kind LIKE 'missed_call%%' AND state NOT IN ('sent', 'delivered')
"""
NO_CLAIM = """
CREATE FUNCTION never_claimed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.processed := false; RETURN NEW; END $$;
CREATE TRIGGER never_claimed BEFORE UPDATE ON active_calls FOR EACH ROW EXECUTE FUNCTION never_claimed();
CREATE FUNCTION always_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.dedupe_key := NEW.dedupe_key || '-' || gen_random_uuid(); RETURN NEW; END $$;
CREATE TRIGGER always_new BEFORE INSERT ON sms_delivery_log FOR EACH ROW
    WHEN (NEW.kind LIKE 'missed_call%') EXECUTE FUNCTION always_new();
"""
CLAIMS_BACK = """
DROP TRIGGER never_claimed ON active_calls; DROP FUNCTION never_claimed();
DROP TRIGGER always_new ON sms_delivery_log; DROP FUNCTION always_new();
UPDATE active_calls SET processed = true, processed_at = now() WHERE NOT processed;
"""


def run(stack: Stack) -> Row:
    evidence.wait_until_quiet(stack)
    mark = evidence.now(stack)
    with _only_forwarding(stack):
        copies = _play(stack)
    paths = dict(stack.database.execute(PATHS, {"mark": mark}).fetchall())
    slowest = float(one(stack, SLOWEST, mark=mark))
    figures = (
        f"{len(copies)} missed calls, {CALLS_A_KIND} each {', '.join(KINDS)}, with {POLLERS} pollers at once: "
        f"{_counted(copies)}; settled {paths.get('fast', 0)} by Twilio's word, {paths.get('fallback', 0)} by look-up; "
        f"slowest request of a text {slowest:.1f} s after its call was settled"
    )
    one_each = copies == [1] * len(copies) and sum(paths.values()) == len(copies)
    return Row(NAME, figures, one_each and slowest < MOST_SECONDS_TO_TEXT)


def control(stack: Stack) -> Row:
    """The same without the claim: each path sends what it finds to be owed."""
    with without(stack, ONE_TEXT_BACK), _no_claim(stack), _only_forwarding(stack):
        copies = _play(stack)
    return Row(NAME, f"no claim: {_counted(copies)}", copies == [1] * len(copies))


def _counted(copies: list[int]) -> str:
    twice = sum(number > 1 for number in copies)
    return f"{copies.count(1)} callers have one text, {twice} two or more, {copies.count(0)} none"


def _play(stack: Stack) -> list[int]:
    """For each caller: how many texts lie on the phone in the end."""
    callers = []
    for script in KINDS.values():
        for _ in range(CALLS_A_KIND):
            callers.append(new_caller())
            stack.sandbox.ring(
                callers[-1], stack.clinic["number"], outcome="no-answer", ring_seconds=RING_SECONDS, **script
            )
    mark = evidence.now(stack)
    with _pollers(stack):
        stack.until("every call settled", lambda: _all_settled(stack, mark), SETTLED_SECONDS)
        # Whatever is told late, or looked up once more, comes now.
        time.sleep(RING_SECONDS)
    stack.until("every text sent", lambda: _texts_have_ended(stack), ARRIVED_SECONDS)
    phones: Counter[str] = Counter()
    for (to, _), number in stack.sandbox.phones().items():
        phones[to] += number
    return [phones[caller] for caller in callers]


def _all_settled(stack: Stack, mark: object) -> bool:
    stack.database.execute(AGE)
    return int(one(stack, UNSETTLED, mark=mark)) == 0


def _texts_have_ended(stack: Stack) -> bool:
    return int(one(stack, UNSENT)) == 0


@contextmanager
def _pollers(stack: Stack) -> Iterator[None]:
    """Those who schedule from outside, too eager by far."""
    ended = threading.Event()
    address = f"http://127.0.0.1:{stack.options.port}/api/cron/check-missed-calls"

    def poll() -> None:
        with requests.Session() as session:
            while not ended.wait(0.05):
                session.post(address, headers={"Authorization": f"Bearer {stack.cron_secret}"}, timeout=30)

    threads = [threading.Thread(target=poll, daemon=True) for _ in range(POLLERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@contextmanager
def _only_forwarding(stack: Stack) -> Iterator[None]:
    """The number rings the clinic and nobody else, and leads to this stack."""
    number = stack.clinic["number"]
    stack.sandbox.connect_number(number, stack.backend_url)
    known = one(stack, "SELECT mode FROM phone_numbers WHERE number = %(number)s", number=number)
    update = "UPDATE phone_numbers SET mode = %s WHERE number = %s"
    stack.database.execute(update, ["forward", number])
    try:
        yield
    finally:
        stack.database.execute(update, [known, number])


@contextmanager
def _no_claim(stack: Stack) -> Iterator[None]:
    stack.database.execute(NO_CLAIM)
    try:
        yield
    finally:
        stack.database.execute(CLAIMS_BACK)
