"""Whatever is sent, the answer is JSON, never a fault of ours, and never a visit that is half made."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telephony.tools.catalogue import TOOLS as TOOLS_BY_NAME
from tests.telephony.rows import assert_no_visit_is_half_made
from tests.telephony.vapi_client import (
    HMAC_HEADERS,
    TOOLS,
    WEBHOOK,
    Json,
    VapiCaller,
    signed,
    tool_call,
    vapi_secret,
)

QUESTIONS = ["tool-calls", "assistant-request", "transfer-destination-request"]
NEWS = ["status-update", "end-of-call-report", "hang"]
HEADERS = [("X-Vapi-Secret", "X-Other"), ("Authorization", "X-Other"), *HMAC_HEADERS]
Path = tuple[str | int, ...]
serials = itertools.count()

quick = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(), max_size=60),
    st.dates().map(str),
    st.times().map(lambda at: at.isoformat()[:5]),
    st.sampled_from(
        ["\x00", "\ud800", "+14155550142", "anonymous", "9999-12-31", "0001-01-01", "25:61", "x" * 5000]
    ),
)
junk = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)
header_values = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=90)


def places(value: Any, path: Path = ()) -> list[Path]:
    """Every place inside a JSON value."""
    inner: list[Path] = [path] if path else []
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, member in members:
        inner += places(member, (*path, name))
    return inner


def put(whole: Any, path: Path, value: Any) -> None:
    """Replaces what stands at ``path``; nothing happens where an earlier replacement has cut it off."""
    *way, last = path
    try:
        for name in way:
            whole = whole[name]
        whole[last] = value
    except (KeyError, IndexError, TypeError):
        return


def valid_message(call: VapiCaller, kind: str) -> Json:
    day = call.clinic.next_weekday().isoformat()
    wish = {
        "appointmentDate": day,
        "appointmentTime": "10:00",
        "patientName": "Dana Ruiz",
        "patientPhone": "+14155550143",
        "patientEmail": "dana@example.com",
        "serviceType": "consultation",
        "provider": "provider-0",
        "duration": 30,
    }
    calls = [
        tool_call("bookClinicAppointment", wish, "call_1"),
        tool_call("checkAvailability", {"date": day, "partOfDay": "morning"}, "call_2"),
        tool_call("lookupCaller", {"searchType": "name", "searchKey": "Dana"}, "call_3"),
    ]
    members: Json = {"toolCallList": calls} if kind == "tool-calls" else {}
    if kind == "status-update":
        members = {"status": "ended", "endedReason": "customer-ended-call"}
    if kind == "end-of-call-report":
        members = {
            "endedAt": "2026-11-20T09:04:58.400Z",
            "artifact": {"transcript": "…"},
            "analysis": {"summary": "…"},
        }
    return call.message(kind, **members)


def assert_is_well_answered(answer: Any) -> None:
    assert answer.status_code in (200, 400, 401), answer.content[:300]
    reply = json.loads(answer.content)
    assert isinstance(reply, dict)
    if answer.status_code != 200:
        assert set(reply) == {"error"}
        return
    for entry in reply.get("results", []):
        spoken = entry.get("result", entry.get("error"))
        assert isinstance(spoken, str)
        assert len(spoken.splitlines()) == 1
        assert ("result" in entry) != ("error" in entry)
        if "result" in entry:
            assert json.loads(entry["result"])["say"]


@quick
@given(data=st.data())
def test_a_message_with_anything_in_any_place_is_answered(call: VapiCaller, data: st.DataObject) -> None:
    message = copy.deepcopy(valid_message(call, data.draw(st.sampled_from(QUESTIONS + NEWS))))
    message["message"]["call"]["id"] = f"call-{next(serials)}"
    for _ in range(data.draw(st.integers(1, 4))):
        put(message, data.draw(st.sampled_from(places(message))), data.draw(junk))
    assert_is_well_answered(call.post(message))
    assert_no_visit_is_half_made(call.clinic)


@quick
@given(arguments=st.dictionaries(
    st.sampled_from(["appointmentDate", "appointmentTime", "patientName", "patientPhone", "serviceType", "provider",
                     "duration", "date", "partOfDay", "searchType", "searchKey", "department", "summary", "reason",
                     "newDate", "newTime", "appointmentId", "confirmationCode", "message", "urgency",
                     "callbackNumber"]),
    junk, max_size=6),
    tool=st.sampled_from(sorted(TOOLS_BY_NAME)),
)  # fmt: skip
def test_a_tool_with_any_arguments_is_answered(call: VapiCaller, arguments: Json, tool: str) -> None:
    (entry,) = call.ask(tool_call(tool, arguments, f"call_{next(serials)}"))
    assert "result" in entry
    assert json.loads(entry["result"])["say"]
    assert_no_visit_is_half_made(call.clinic)


@quick
@given(body=junk)
def test_any_json_at_all_is_answered(call: VapiCaller, body: Any) -> None:
    for wrapped in (body, {"message": body}, {"message": {"type": "tool-calls", "toolCallList": body}}):
        assert_is_well_answered(call.post(json.dumps(wrapped).encode()))


@quick
@given(
    body=st.binary(max_size=400), address=st.sampled_from([WEBHOOK, TOOLS, f"{WEBHOOK}?clinic=elm-street"])
)
def test_any_bytes_at_all_are_refused(call: VapiCaller, body: bytes, address: str) -> None:
    for headers in (vapi_secret(call.clinic.secret), signed(call.clinic.secret, body)):
        assert_is_well_answered(call.post(body, headers, address))


@quick
@given(names=st.sampled_from(HEADERS), values=st.tuples(header_values, header_values))
def test_any_headers_at_all_are_refused(
    call: VapiCaller, names: tuple[str, str], values: tuple[str, str]
) -> None:
    headers = dict(zip(names, values, strict=True))
    assert call.post(valid_message(call, "tool-calls"), headers).status_code == 401
