from __future__ import annotations

from typing import Any

import pytest

from telephony.webhooks.payloads import DEEPEST, REDACTED, packed, redacted, unpacked

SECRETS = {
    "twilioAuthToken": "t0k3n", "twilioApiSecret": "s3cret", "twilioApiKey": "SK1", "serverUrlSecret": "s3cret",
    "secret": "s3cret", "controlUrl": "https://x.vapi.ai/control", "listenUrl": "wss://x.vapi.ai/listen",
    "headers": {"Authorization": "Bearer abc"}, "apiKey": "k3y", "api_key": "k3y", "Authorization": "Bearer abc",
    "accessToken": "abc", "CallToken": "abc", "password": "abc", "credentials": [{"id": 1}],
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(SECRETS))
@pytest.mark.parametrize("depth", [0, 1, 7])
def test_a_secret_is_hidden_wherever_it_stands(name: str, depth: int) -> None:
    body: Any = {name: SECRETS[name]}
    for _ in range(depth):
        body = {"call": [body]}
    assert str(SECRETS[name]) not in str(redacted(body))
    assert REDACTED in str(redacted(body))


def test_what_is_no_secret_stays() -> None:
    body = {"type": "hang", "promptTokens": 12, "call": {"id": "a", "customer": {"number": "+14155550142"}}}
    assert redacted(body) == body


def test_an_empty_secret_stays_empty() -> None:
    assert redacted({"twilioAuthToken": None}) == {"twilioAuthToken": None}


def test_named_bulk_is_left_out_at_any_depth() -> None:
    body = {"artifact": {"messages": [1], "transcript": "x"}, "messages": [2]}
    assert redacted(body, frozenset({"messages"})) == {"artifact": {"transcript": "x"}}


def test_nesting_without_end_is_cut() -> None:
    body: Any = "x"
    for _ in range(DEEPEST * 3):
        body = [{"inner": body}]
    assert REDACTED in str(redacted(body))


def test_what_is_packed_is_read_again_and_by_nobody_else() -> None:
    body = {"transcript": "User: I am Dana Ruiz." * 50, "odd": "\ud800 é", "number": 1.5}
    kept = packed(body)
    assert b"Dana" not in kept
    assert len(kept) < len(body["transcript"])  # type: ignore[arg-type]
    assert unpacked(kept) == body
    assert unpacked(memoryview(kept)) == body
