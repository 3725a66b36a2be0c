"""What a call's end tells: groups of reasons, and each value in each place where Vapi has had it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from telephony.models import Call
from telephony.vapi.reports import RecordingFacts, completion_of, ended_group, recording_of

Group = Call.EndedGroup


@pytest.mark.parametrize(
    ("reason", "group"),
    [
        ("customer-ended-call", Group.CALLER),
        ("customer-did-not-give-microphone-permission", Group.CALLER),
        ("customer-did-not-answer", Group.NEVER_WORKED),
        ("assistant-ended-call", Group.ASSISTANT),
        ("assistant-said-end-call-phrase", Group.ASSISTANT),
        ("assistant-forwarded-call", Group.TRANSFERRED),
        ("assistant-request-failed", Group.NEVER_WORKED),
        ("assistant-request-returned-error", Group.NEVER_WORKED),
        ("call.start.error-get-transport", Group.NEVER_WORKED),
        ("call.forwarding.operator-busy", Group.TRANSFER_FAILED),
        ("call.in-progress.error-vapifault-worker-died", Group.VAPI_FAULT),
        ("call.in-progress.error-providerfault-openai-llm-failed", Group.PROVIDER_FAULT),
        ("pipeline-error-openai-llm-failed", Group.PROVIDER_FAULT),
        ("silence-timed-out", Group.SILENCE),
        ("exceeded-max-duration", Group.TIME_LIMIT),
        ("voicemail", Group.VOICEMAIL),
        ("something-new", Group.OTHER),
        ("", Group.NONE),
    ],
)
def test_a_reason_has_its_group_and_an_unknown_one_is_no_fault(reason: str, group: str) -> None:
    assert ended_group(reason) == group


@pytest.mark.parametrize(
    ("report", "url"),
    [
        ({"artifact": {"recording": {"mono": {"combinedUrl": "https://a"}}, "recordingUrl": "https://b"}}, "https://a"),
        ({"artifact": {"presignedMonoUrl": "https://a", "recordingUrl": "https://b"}}, "https://a"),
        ({"artifact": {"recordingUrl": "https://b"}, "recordingUrl": "https://c"}, "https://b"),
        ({"recordingUrl": "https://c"}, "https://c"),
        ({"stereoRecordingUrl": "https://d"}, "https://d"),
        ({"artifact": {"recording": {"stereoUrl": "https://e"}}}, "https://e"),
    ],
)  # fmt: skip
def test_a_recording_is_found_in_the_artifact_first_then_where_it_used_to_be(
    report: dict[str, Any], url: str
) -> None:
    found = recording_of(report)
    assert found is not None
    assert found.url == url
    assert url not in repr(found), "an address is a capability"


@pytest.mark.parametrize(
    "report", [{}, {"artifact": []}, {"artifact": {"recording": "x"}}, {"recordingUrl": 7}]
)
def test_no_recording_is_no_fault(report: dict[str, Any]) -> None:
    assert recording_of(report) == RecordingFacts("")


@pytest.mark.parametrize(
    ("given", "cost"),
    [(0.31, "0.3100"), (0, "0.0000"), (1.23456, "1.2346"), (-1, None), (True, None), ("0.3", None), (None, None),
     (1e400, None), (10**30, None)],
)  # fmt: skip
def test_a_cost_is_a_sum_of_money_or_none(given: object, cost: str | None) -> None:
    assert completion_of({"cost": given}, "told").cost == (Decimal(cost) if cost else None)


@pytest.mark.parametrize(
    ("report", "sentiment"),
    [
        ({"analysis": {"structuredData": {"sentiment": "Positive"}}}, "positive"),
        ({"artifact": {"structuredOutputs": {"a": {"name": "Sentiment", "result": "negative"}}}}, "negative"),
        ({"artifact": {"structuredOutputs": {"a": {"name": "intent", "result": "book"}}}}, ""),
        ({"artifact": {"structuredOutputs": {"a": 7}}, "analysis": 7}, ""),
    ],
)
def test_a_sentiment_is_read_where_it_was_asked_for(report: dict[str, Any], sentiment: str) -> None:
    assert completion_of(report, "told").sentiment == sentiment
