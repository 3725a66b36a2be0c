"""What a try at Twilio came to, judged from codes, statuses and receipts. Run with -s to see the table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.providers.answers import TryOutcome
from messaging.providers.twilio.codes import CODES
from messaging.providers.twilio.outcomes import (
    Fault,
    fault_of_code,
    outcome_of_create,
    outcome_of_receipt,
    receipt_rank,
    spoken_reason,
)

NOW = TryOutcome.REFUSED_FOR_NOW
GOOD = TryOutcome.REFUSED_FOR_GOOD
R, O, C, A, T, L, U = (  # noqa: E741
    Fault.RECIPIENT,
    Fault.OPT_OUT,
    Fault.CONTENT,
    Fault.ACCOUNT,
    Fault.TRANSIENT,
    Fault.LIMIT,
    Fault.AMBIGUOUS,
)

# HTTP status of the answer, codes, whose fault, what the try came to.
ANSWERS: list[tuple[int, tuple[int, ...], Fault, TryOutcome]] = [
    (400, (20001, 20002), C, GOOD),
    (401, (20003,), A, GOOD),
    (403, (20003, 20403), A, GOOD),
    (404, (20404,), C, GOOD),
    (409, (20409,), U, TryOutcome.LOST),
    (429, (20429,), L, NOW),
    (500, (20500,), T, NOW),
    (503, (20503,), T, NOW),
    (400, (21211,), R, GOOD),
    (400, (21212, 21603, 21606, 21607, 21657, 21660, 21708, 21709), A, GOOD),
    (400, (21214, 21217), R, GOOD),
    (400, (21215, 21408), A, GOOD),
    (403, (21215, 21408), A, GOOD),
    (400, (21216,), R, GOOD),
    (400, (21219, 21608), A, GOOD),
    (400, (21602, 21604, 21619), C, GOOD),
    (400, (21609,), C, GOOD),
    (400, (21610,), O, TryOutcome.OPTED_OUT),
    (400, (21611,), L, NOW),
    (429, (21611,), L, NOW),
    (400, (21612,), R, GOOD),
    (400, (21614, 21635), R, GOOD),
    (400, (21617,), C, GOOD),
    (400, (21620, 63019), C, GOOD),
    (400, (21654, 21655, 21656, 21658), C, GOOD),
    (404, (21701,), A, GOOD),
    (400, (21705,), A, GOOD),
    (400, (21703, 21704), A, GOOD),
]

# Status of the receipt, codes, whose fault, what the try came to.
RECEIPTS: list[tuple[str, tuple[int, ...], Fault, TryOutcome]] = [
    ("failed", (30001,), L, NOW),
    ("failed", (30002,), A, GOOD),
    ("undelivered", (30003,), T, NOW),
    ("undelivered", (30004,), O, TryOutcome.OPTED_OUT),
    ("undelivered", (30005,), R, GOOD),
    ("undelivered", (30006,), R, GOOD),
    ("undelivered", (30007,), C, GOOD),
    ("undelivered", (30008,), T, NOW),
    ("failed", (30010,), C, GOOD),
    ("undelivered", (30017,), T, NOW),
    ("failed", (30018, 30024), A, GOOD),
    ("failed", (30019,), C, GOOD),
    ("failed", (30020, 30021), T, NOW),
    ("undelivered", (30022,), L, NOW),
    ("undelivered", (30023, 30027), L, NOW),
    ("undelivered", (30032,), A, GOOD),
    ("failed", (30033,), A, GOOD),
    ("undelivered", (30034,), A, GOOD),
    ("undelivered", (30035,), A, GOOD),
    ("failed", (30036,), L, NOW),
    ("undelivered", (30410,), U, GOOD),
    ("failed", (30450,), A, GOOD),
    ("failed", (30610,), L, NOW),
    ("failed", (30640,), R, GOOD),
    ("failed", (63003, 63024), R, GOOD),
    ("failed", (63001, 63002, 63007, 63008, 63020, 63022, 63051), A, GOOD),
    ("failed", (63005, 63006, 63013, 63021, 63026, 63027, 63028, 63029, 63030, 63040, 63041, 63042), C, GOOD),
    ("failed", (63009, 63010, 63012), T, NOW),
    ("failed", (63014, 63033), O, TryOutcome.OPTED_OUT),
    ("failed", (63015,), A, GOOD),
    ("failed", (63016,), C, GOOD),
    ("failed", (63017, 63018), L, NOW),
    ("failed", (63032,), R, GOOD),
    ("failed", (63038,), L, NOW),
]

ANSWER_CASES = [(status, code, fault, outcome) for status, codes, fault, outcome in ANSWERS for code in codes]
RECEIPT_CASES = [
    (status, code, fault, outcome) for status, codes, fault, outcome in RECEIPTS for code in codes
]


def test_every_code_of_the_table_is_tested_and_the_table_is_shown() -> None:
    tested = {code for _, code, _, _ in [*ANSWER_CASES, *RECEIPT_CASES]}
    assert tested == set(CODES)
    print(f"\n{'code':>6}  {'arrives as':<12} {'fault':<10} {'outcome':<17} what staff read")
    rows = [(code, f"HTTP {status}", fault, outcome) for status, code, fault, outcome in ANSWER_CASES]
    rows += [(code, status, fault, outcome) for status, code, fault, outcome in RECEIPT_CASES]
    for code, arrives_as, fault, outcome in sorted(rows):
        print(f"{code:>6}  {arrives_as:<12} {fault:<10} {outcome:<17} {spoken_reason(code)}")


@pytest.mark.parametrize(("status", "code", "fault", "outcome"), ANSWER_CASES)
def test_an_answer_is_judged_by_its_code(status: int, code: int, fault: Fault, outcome: TryOutcome) -> None:
    assert fault_of_code(code) == fault
    assert outcome_of_create(status, code, True) == (outcome, fault)


@pytest.mark.parametrize(("status", "code", "fault", "outcome"), RECEIPT_CASES)
def test_a_receipt_is_judged_by_its_code(status: str, code: int, fault: Fault, outcome: TryOutcome) -> None:
    assert fault_of_code(code) == fault
    assert outcome_of_receipt(status, code) == (outcome, fault)


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_success_has_no_fault(status: int) -> None:
    assert outcome_of_create(status, None, False) == (TryOutcome.ACCEPTED, None)


@pytest.mark.parametrize("body", [True, False])
def test_429_was_never_processed_with_or_without_a_body(body: bool) -> None:
    assert outcome_of_create(429, 20429 if body else 429, body) == (NOW, L)
    assert outcome_of_create(429, None, body) == (NOW, L)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 599])
def test_a_server_error_is_lost_unless_twilio_says_itself_that_it_took_nothing(status: int) -> None:
    assert outcome_of_create(status, None, False) == (TryOutcome.LOST, U)
    assert outcome_of_create(status, status, False) == (TryOutcome.LOST, U)
    assert outcome_of_create(status, 20500, True) == (NOW, T)
    assert outcome_of_create(status, 29999, True) == (NOW, T)


def test_a_server_error_with_a_body_that_is_not_twilios_is_lost() -> None:
    # A proxy's JSON repeats the HTTP status where Twilio has a code of five digits.
    assert outcome_of_create(503, 503, True) == (TryOutcome.LOST, U)
    assert outcome_of_create(503, None, True) == (TryOutcome.LOST, U)


def test_a_server_error_whose_code_says_nobody_knows_is_lost() -> None:
    assert outcome_of_create(500, 20409, True) == (TryOutcome.LOST, U)
    assert outcome_of_create(504, 30410, True) == (TryOutcome.LOST, U)


@pytest.mark.parametrize(("status", "code"), [(400, 29999), (400, None), (422, 422), (404, 404), (413, None)])
def test_an_unknown_refusal_is_for_good_and_for_a_person_to_see(status: int, code: int | None) -> None:
    assert outcome_of_create(status, code, code is not None and code != status) == (GOOD, C)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_sign_in_without_a_body_is_the_accounts_fault(status: int) -> None:
    assert outcome_of_create(status, status, False) == (GOOD, A)


def test_a_request_that_never_came_in_whole_may_be_tried_again() -> None:
    assert outcome_of_create(408, 408, False) == (NOW, T)


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_means_a_wrong_base_address(status: int) -> None:
    assert outcome_of_create(status, None, False) == (GOOD, A)


@given(st.integers(100, 599), st.none() | st.integers(0, 99_999), st.booleans())
def test_every_answer_has_a_verdict_and_only_success_has_no_fault(
    status: int, code: int | None, body: bool
) -> None:
    outcome, fault = outcome_of_create(status, code, body)
    assert (outcome is TryOutcome.ACCEPTED) == (fault is None) == (200 <= status < 300)


@pytest.mark.parametrize(
    "status", ["queued", "sending", "sent", "delivered", "read", "accepted", "something-new"]
)
def test_only_bad_news_is_bad_news(status: str) -> None:
    assert outcome_of_receipt(status, None) == (TryOutcome.ACCEPTED, None)


@pytest.mark.parametrize("status", ["undelivered", "failed", "canceled"])
@pytest.mark.parametrize("code", [None, 0, 39999])
def test_a_failure_without_a_known_code_is_never_resent_by_itself(status: str, code: int | None) -> None:
    assert outcome_of_receipt(status, code) == (GOOD, U)


def test_receipts_have_an_order() -> None:
    ranks = [receipt_rank(status) for status in ("queued", "sending", "sent", "delivered", "read")]
    assert ranks == sorted(set(ranks))
    assert receipt_rank("accepted") < receipt_rank("queued")
    assert receipt_rank("undelivered") == receipt_rank("failed") == receipt_rank("delivered")
    assert receipt_rank("read") > receipt_rank("failed")


@pytest.mark.parametrize("status", ["", "received", "receiving", "QUEUED", "no-such-status"])
def test_an_unknown_status_ranks_below_all(status: str) -> None:
    assert receipt_rank(status) == 0


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_reason_is_one_sentence_that_says_what_to_do(code: int) -> None:
    reason = spoken_reason(code)
    assert reason[0].isupper()
    assert reason.endswith(".")
    assert "\n" not in reason
    assert "; " in reason, "what happened; what to do"
    assert len(reason) <= 120


@pytest.mark.parametrize("code", [None, 0, 404])
def test_no_code_has_a_reason_too(code: int | None) -> None:
    assert "no reason" in spoken_reason(code)


def test_an_unknown_code_is_named_in_its_reason() -> None:
    assert "39999" in spoken_reason(39999)
