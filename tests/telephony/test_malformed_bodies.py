from __future__ import annotations

import json
from typing import Any

import pytest

from telephony.tools.catalogue import TOOLS
from tests.clinics import Clinic
from tests.telephony.rows import assert_no_visit_is_half_made, row_counts
from tests.telephony.vapi_client import (
    TOOLS as TOOLS_ADDRESS,
)
from tests.telephony.vapi_client import (
    WEBHOOK,
    VapiCaller,
    bearer,
    reply_of,
    signed,
    tool_call,
    vapi_secret,
)
from tests.telephony.webhooks import deliveries, work_off

NO_MESSAGES = {
    "nothing": b"",
    "blanks": b"  \r\n\t ",
    "a word": b"hello",
    "half an object": b'{"message": {"type": "tool-calls"',
    "two objects": b'{"message": {}} {"message": {}}',
    "a trailing comma": b'{"message": {"type": "hang",}}',
    "single quotes": b"{'message': {'type': 'hang'}}",
    "NUL": b"\x00",
    "NULs between": b'{"message"\x00: {}}',
    "a raw NUL in a string": b'{"message": {"type": "ha\x00ng"}}',
    "binary": bytes(range(256)),
    "a picture": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    "not UTF-8": b'{"message": {"type": "\xff\xfe"}}',
    "a cut character": b'{"message": {"type": "\xf0\x9f"}}',
    "a surrogate in UTF-8": b'{"message": {"type": "\xed\xa0\x80"}}',
    "half a UTF-16": b"\xff\xfe{",
    "NaN": b'{"message": {"type": "hang", "cost": NaN}}',
    "infinity": b'{"message": {"type": "hang", "cost": -Infinity}}',
    "an endless number": b'{"message": {"type": "hang", "cost": ' + b"9" * 100_000 + b"}}",
    "deep arrays": b"[" * 10_000,
    "closed deep arrays": b"[" * 10_000 + b"]" * 10_000,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "a deep message": b'{"message": ' * 10_000 + b"{}" + b"}" * 10_000,
    "an array": b"[]",
    "an array of messages": b'[{"message": {"type": "hang"}}]',
    "a string": b'"message"',
    "a number": b"7",
    "null": b"null",
    "true": b"true",
    "an empty object": b"{}",
    "no message": b'{"type": "hang"}',
    "a null message": b'{"message": null}',
    "a list for a message": b'{"message": []}',
    "a text for a message": b'{"message": "hang"}',
    "no type": b'{"message": {"call": {}}}',
    "a null type": b'{"message": {"type": null}}',
    "a number for a type": b'{"message": {"type": 7}}',
    "a list for a type": b'{"message": {"type": ["hang"]}}',
    "a blank type": b'{"message": {"type": "  "}}',
    "a NUL for a type": b'{"message": {"type": "\\u0000"}}',
}
HOSTILE: list[Any] = [
    None, True, False, 0, -1, 7, 10**18, 10**400, 1.5, 1e308, -0.0, "", " ", "\x00", "\ud800", "\udfff\ud800", "\u202e",
    "'; DROP TABLE appointments; --", "{{7*7}}", "%s%n", "../../etc/passwd", "<script>", "x" * 100_000, "💥" * 1000,
    "0001-01-01", "9999-12-31", "2027-02-30", "25:61", "24:00", "-1", "1e5", [], [[]], {}, {"$ne": None}, [None] * 1000,
    "a\nb\r\nc", "\u2028",
]  # fmt: skip
SHORT_LIST: list[Any] = [
    None,
    True,
    7,
    10**400,
    1e308,
    "",
    "\x00",
    "\ud800",
    "x" * 100_000,
    [],
    {},
    [None] * 1000,
]
VALID: dict[str, Any] = {
    "appointmentTime": "10:00",
    "patientName": "Dana Ruiz",
    "summary": "An invoice.",
    "reason": "completed",
}


@pytest.mark.parametrize("address", [WEBHOOK, TOOLS_ADDRESS])
@pytest.mark.parametrize("body", NO_MESSAGES.values(), ids=NO_MESSAGES.keys())
def test_a_body_that_is_no_message_is_refused(call: VapiCaller, body: bytes, address: str) -> None:
    before = row_counts()
    answer = call.post(body, vapi_secret(call.clinic.secret), address)
    assert answer.status_code == 400
    error = json.loads(answer.content)["error"]
    assert error["code"] == "invalid_request"
    assert error["message"].endswith(".")
    assert row_counts() == before


@pytest.mark.parametrize("body", NO_MESSAGES.values(), ids=NO_MESSAGES.keys())
def test_a_signed_body_that_names_no_clinic_is_nobodys(call: VapiCaller, body: bytes) -> None:
    assert call.post(body, signed(call.clinic.secret, body)).status_code == 401
    named = call.post(body, signed(call.clinic.secret, body), f"{WEBHOOK}?clinic=elm-street")
    assert named.status_code == 400


def test_json_in_another_encoding_is_still_json(call: VapiCaller) -> None:
    text = json.dumps(call.tools_message(tool_call("lookupCaller", {})))
    for encoding in ("utf-8", "utf-16", "utf-32"):
        assert call.post(text.encode(encoding)).status_code == 200


@pytest.mark.parametrize("address", [WEBHOOK, "/api/vapi/webhook", TOOLS_ADDRESS])
@pytest.mark.parametrize("credential", ["none", "right", "signed"])
def test_a_body_of_seven_megabytes_is_too_large(call: VapiCaller, address: str, credential: str) -> None:
    body = json.dumps(call.message("hang", note="x" * 7_000_000)).encode()
    headers = {
        "none": {},
        "right": bearer(call.clinic.secret),
        "signed": signed(call.clinic.secret, body),
    }[credential]
    answer = call.post(body, headers, address)
    assert answer.status_code == 413
    assert json.loads(answer.content)["error"]["code"] == "too_large"


def test_a_report_of_five_megabytes_is_taken(call: VapiCaller) -> None:
    assert call.say("end-of-call-report", artifact={"transcript": "x" * 5_000_000}) == {}
    work_off()
    assert [row.state for row in deliveries(call.clinic)] == ["completed"]


def test_a_large_report_in_any_script_is_worked_off(call: VapiCaller) -> None:
    body = json.dumps(
        call.message("end-of-call-report", artifact={"transcript": "é" * 2_900_000}), ensure_ascii=False
    )
    assert call.post(body.encode()).status_code == 200
    work_off()
    assert [row.state for row in deliveries(call.clinic)] == ["completed"]


@pytest.mark.parametrize("length", ["", "abc", "-1", "1e3", "9" * 30, "12, 12", "٣", "0x10", " 12 "])
def test_a_length_that_is_no_number_is_no_fault_of_ours(call: VapiCaller, length: str) -> None:
    headers = {**vapi_secret(call.clinic.secret), "Content-Length": length}
    answer = call.post(call.message("hang"), headers)
    assert answer.status_code in (200, 400, 413)
    json.loads(answer.content)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8",
        "application/json; charset=utf-16",
        "application/json; charset=no-such-charset",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/form-data; boundary=" + "x" * 500,
        "text/plain",
        "text/xml",
        "é",
        "",
    ],
)
def test_a_wrong_content_type_is_no_fault_of_ours(call: VapiCaller, content_type: str) -> None:
    answer = call.post(call.tools_message(tool_call("lookupCaller", {})), content_type=content_type)
    assert answer.status_code in (200, 400, 415)
    json.loads(answer.content)


def hostile_calls(clinic: Clinic, tool: str, argument: str) -> list[dict[str, Any]]:
    """The tool's otherwise valid arguments, with each hostile value in one argument's place."""
    valid = {
        **VALID,
        "appointmentDate": clinic.next_weekday().isoformat(),
        "date": clinic.next_weekday().isoformat(),
    }
    own = {name: valid[name] for name in TOOLS[tool].required if name in valid}
    return [
        tool_call(tool, {**own, argument: value}, f"call_{argument}_{number}")
        for number, value in enumerate(HOSTILE)
    ]


@pytest.mark.parametrize(
    ("tool", "argument"), [(tool.name, argument) for tool in TOOLS.values() for argument in tool.properties]
)
def test_every_argument_survives_every_hostile_value(call: VapiCaller, tool: str, argument: str) -> None:
    calls = hostile_calls(call.clinic, tool, argument)
    for start in range(0, len(calls), 20):
        entries = call.ask(*calls[start : start + 20])
        for entry, asked in zip(entries, calls[start : start + 20], strict=True):
            assert entry["toolCallId"] == asked["id"]
            assert "error" not in entry, asked
            result = json.loads(entry["result"])
            assert result["say"], asked
            assert result["ok"] or result["code"], asked
    assert_no_visit_is_half_made(call.clinic)


@pytest.mark.parametrize("value", SHORT_LIST, ids=[str(number) for number in range(len(SHORT_LIST))])
def test_every_member_of_the_envelope_survives_hostile_values(call: VapiCaller, value: object) -> None:
    spoiled = [
        {"call": value},
        {"phoneNumber": value},
        {"customer": value},
        {"assistant": value},
        {"timestamp": value},
    ]
    envelope = call.envelope()
    for part in ("call", "phoneNumber", "customer"):
        spoiled += [{part: {**envelope[part], name: value}} for name in envelope[part]]
    spoiled.append({"call": {**envelope["call"], "monitor": {"controlUrl": value}}})
    for number, members in enumerate(spoiled):
        kind = ("assistant-request", "status-update", "end-of-call-report")[number % 3]
        assert isinstance(call.say(kind, **members), dict)
        (entry,) = call.ask(
            tool_call("checkAvailability", {"date": "2027-01-04"}, f"call_{number}"), **members
        )
        assert ("result" in entry) != ("error" in entry)


@pytest.mark.parametrize("value", SHORT_LIST, ids=[str(number) for number in range(len(SHORT_LIST))])
def test_every_place_of_a_tool_call_survives_hostile_values(call: VapiCaller, value: object) -> None:
    good = tool_call("lookupCaller", {}, "call_good")
    odd: list[Any] = [
        value,
        {"id": value, "function": {"name": "lookupCaller", "arguments": {}}},
        {"id": "call_1", "function": value},
        {"id": "call_2", "function": {"name": value, "arguments": {}}},
        {"id": "call_3", "function": {"name": "lookupCaller", "arguments": value}},
        {"id": "call_4", "name": "lookupCaller", "parameters": value},
    ]
    for item in odd:
        answer = call.post(call.tools_message(good, item))
        results = reply_of(answer)["results"]
        assert results[0]["toolCallId"] == "call_good"
        assert len(results) in (1, 2), "one without an id cannot be answered"
    for name in ("toolCallList", "toolCalls", "toolWithToolCallList"):
        assert call.post(call.message("tool-calls", **{name: value})).status_code in (200, 400)


def test_a_tool_call_without_an_id_does_not_silence_the_others(call: VapiCaller) -> None:
    whole = tool_call("checkAvailability", {"date": call.clinic.next_weekday().isoformat()})
    broken = {name: value for name, value in whole.items() if name != "id"}
    (entry,) = call.ask(broken, whole)
    assert entry["toolCallId"] == whole["id"]
    assert "result" in entry
