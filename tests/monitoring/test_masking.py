from __future__ import annotations

import time

import pytest

from monitoring.masking import HIDDEN, mask, mask_phone, mask_text


@pytest.mark.parametrize(
    "number",
    [
        "+14155550142",
        "14155550142",
        "(415) 555-0142",
        "415.555.0142",
        "415-555-0142",
        "+44 20 7946 0142",
        "whatsapp:+14155550142",
        "tel:4155550142",
        "5550142",
        "+49 (0)30 1230142",
        "415\u2011555\u20110142",
    ],
)
def test_a_phone_number_keeps_its_last_four_digits_only(number: str) -> None:
    masked = mask_text(f"The caller {number} hung up.")
    assert "•••0142" in masked
    assert "555" not in masked
    assert "7946" not in masked


@pytest.mark.parametrize(
    "harmless",
    [
        "550e8400-e29b-41d4-a716-446655440000",
        "01932f2e-0000-7123-8456-123456789012",
        "SM0123456789abcdef0123456789abcdef",
        "2026-11-20T10:48:05.804386Z",
        "2026-11-20 09:30",
        "2026-11-20T09:30:00+01:00",
        "2026-11-20",
        "127.0.0.1",
        "status 200 after 35.4 ms",
        "line 143, in test",
    ],
)
def test_ids_and_moments_stay_readable(harmless: str) -> None:
    assert mask_text(f"seen {harmless} here") == f"seen {harmless} here"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("write to jane.roe+x@example.co.uk now", "jane"),
        ("Authorization: Bearer abc.def-ghi", "abc.def"),
        ("Authorization: Basic QUM6c2VjcmV0", "QUM6"),
        ("postgresql://voxanne:hunter2@127.0.0.1:5432/voxanne", "hunter2"),
        ("redis://:hunter2@127.0.0.1/0", "hunter2"),
        ("Not Found: /a/3q2-tokens-are-secret", "3q2"),
        ("GET /feeds/7c0ffee.ics", "7c0ffee"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJvcmdfaWQiOiJ4In0.c2ln expired", "eyJ"),
        ("duplicate key\nDETAIL:  Key (name)=(Jane Roe) already exists.", "Jane"),
        ("null value\nDETAIL:  Failing row contains (1, Jane Roe, null).", "Jane"),
    ],
)
def test_credentials_and_rows_are_hidden(text: str, secret: str) -> None:
    assert secret not in mask_text(text)
    assert HIDDEN in mask_text(text)


def test_private_keys_are_hidden_at_any_depth() -> None:
    masked = mask(
        {
            "org_id": "01932f2e-0000-7123-8456-123456789012",
            "call": {"customer": {"number": "+14155550142"}, "analysis": {"summary": "Jane is ill"}},
            "items": [{"patient-Name": "Jane Roe"}, ("said", "Call me on 415 555 0142")],
            "X-Vapi-Secret": "s3cret",
            "patientPhone": 14155550142,
            "at": 4155550142,
            "raw": b"Jane Roe",
            "count": 12,
            "ok": True,
        }
    )
    shown = repr(masked)
    assert "Jane" not in shown
    assert "555" not in shown
    assert "s3cret" not in shown
    assert masked["org_id"].startswith("01932f2e")
    assert (masked["count"], masked["ok"]) == (12, True)


def test_a_number_used_as_a_key_is_masked_too() -> None:
    assert "415555" not in repr(mask({"+14155550142": {"state": "sent"}}))


def test_masking_leaves_its_argument_as_it_was() -> None:
    given = {"phone": "+14155550142", "list": ["+14155550142"]}
    mask(given)
    assert given == {"phone": "+14155550142", "list": ["+14155550142"]}


def test_a_recipient_is_shown_by_its_end() -> None:
    assert mask_phone("+14155550142") == "•••0142"
    assert mask_phone("+1") == HIDDEN


@pytest.mark.parametrize(
    "text", ["a" * 300_000, "1" * 300_000, "1 " * 150_000, "a@" * 150_000, "/a/" * 100_000]
)
def test_a_hostile_text_is_masked_in_no_time(text: str) -> None:
    began = time.perf_counter()
    mask_text(text)
    assert time.perf_counter() - began < 0.5
