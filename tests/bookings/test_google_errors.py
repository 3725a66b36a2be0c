from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookings.calendars.google.errors import CalendarOutcome, outcome_of_response, reasons_in

Outcome = CalendarOutcome


def error(code: int, *reasons: str) -> dict[str, Any]:
    errors = [{"domain": "global", "reason": reason, "message": "some words"} for reason in reasons]
    return {"error": {"errors": errors, "code": code, "message": "some words"}}


TABLE: list[tuple[int, str | None, CalendarOutcome]] = [
    (200, None, Outcome.DONE),
    (204, None, Outcome.DONE),
    (400, "timeRangeEmpty", Outcome.PERMANENT),
    (400, "badRequest", Outcome.PERMANENT),
    (400, None, Outcome.PERMANENT),
    (401, "authError", Outcome.REAUTHORISE),
    (401, None, Outcome.REAUTHORISE),
    (403, "rateLimitExceeded", Outcome.RETRY),
    (403, "userRateLimitExceeded", Outcome.RETRY),
    (429, "rateLimitExceeded", Outcome.RETRY),
    (429, None, Outcome.RETRY),
    (403, "quotaExceeded", Outcome.RETRY_LATER),
    (403, "dailyLimitExceeded", Outcome.RETRY_LATER),
    (403, "forbidden", Outcome.PERMANENT),
    (403, "insufficientPermissions", Outcome.PERMANENT),
    (403, "forbiddenForNonOrganizer", Outcome.PERMANENT),
    (403, None, Outcome.PERMANENT),
    (404, "notFound", Outcome.GONE),
    (404, None, Outcome.GONE),
    (408, None, Outcome.RETRY),
    (409, "duplicate", Outcome.ALREADY_THERE),
    (409, None, Outcome.ALREADY_THERE),
    (409, "conflict", Outcome.RETRY),
    (410, "fullSyncRequired", Outcome.RESYNC),
    (410, "updatedMinTooLongAgo", Outcome.RESYNC),
    (410, "deleted", Outcome.GONE),
    (410, None, Outcome.GONE),
    (412, "conditionNotMet", Outcome.CHANGED),
    (413, None, Outcome.PERMANENT),
    (500, "backendError", Outcome.RETRY),
    (502, None, Outcome.RETRY),
    (503, "backendError", Outcome.RETRY),
    (504, None, Outcome.RETRY),
    (302, None, Outcome.PERMANENT),
]


@pytest.mark.parametrize(("status", "reason", "outcome"), TABLE)
def test_an_answer_is_judged_by_status_and_reason(
    status: int, reason: str | None, outcome: CalendarOutcome
) -> None:
    body = error(status, reason) if reason else {}
    assert outcome_of_response(status, body) is outcome


def test_a_used_up_quota_weighs_more_than_a_rate() -> None:
    assert outcome_of_response(403, error(403, "rateLimitExceeded", "quotaExceeded")) is Outcome.RETRY_LATER


def test_a_revoked_grant_asks_for_a_person() -> None:
    body = {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
    assert outcome_of_response(400, body) is Outcome.REAUTHORISE


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        {"error": None},
        {"error": []},
        {"error": {"errors": None}},
        {"error": {"errors": "duplicate"}},
        {"error": {"errors": [None, "duplicate", {"reason": 7}, {"reason": ["x"]}, {}]}},
    ],
)
def test_a_body_of_another_shape_has_no_reasons_and_breaks_nothing(body: Any) -> None:
    assert reasons_in(body) == frozenset()
    assert outcome_of_response(403, body) is Outcome.PERMANENT


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["error", "errors", "reason"]) | st.text(), inner)
    ),
)


@given(st.integers(100, 599), JSON)
def test_every_answer_has_an_outcome_and_only_success_is_done(status: int, body: Any) -> None:
    assert (outcome_of_response(status, body) is Outcome.DONE) == (200 <= status < 300)
