from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from twilio.rest import Client

from tests.sandbox.running import CLINIC, PATIENT, RunningSandbox, twilio_client

ASSETS = Path(__file__).resolve().parents[2] / "voxanne" / "sandbox" / "phone" / "assets"


def state(sandbox: RunningSandbox) -> dict[str, Any]:
    return dict(requests.get(f"{sandbox.url}/phone/state", timeout=5).json())


def first_news(lines: Iterator[bytes], kind: str) -> dict[str, Any]:
    """The first piece of news of a kind that the open page is told."""
    for line in lines:
        if line.startswith(b"data: "):
            for news in json.loads(line[6:]):
                if news["kind"] == kind:
                    return dict(news["data"])
    raise AssertionError("the stream ended")


@pytest.mark.parametrize("path", ["/", "/phone", "/phone/phone.js", "/phone/phone.css", "/phone/mark.svg"])
def test_pages_are_served_with_a_policy_that_lets_nothing_foreign_in(
    sandbox: RunningSandbox, path: str
) -> None:
    answer = requests.get(sandbox.url + path, timeout=5)
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_no_asset_loads_from_elsewhere_or_writes_markup() -> None:
    for path in ASSETS.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"""(src|href|url\(|import)\s*=?\s*["'(]?\s*(https?:)?//""", text), path.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text), (
            path.name
        )
        assert "style=" not in text, path.name


def test_only_the_pages_own_files_are_served(sandbox: RunningSandbox) -> None:
    for name in ("pages.py", "..%2fpages.py", "%2e%2e/pages.py", "nothing.js"):
        assert requests.get(f"{sandbox.url}/phone/{name}", timeout=5).status_code == 404


@pytest.mark.usefixtures("clinic_number")
def test_a_phone_shows_its_texts_both_ways_and_its_owners_name(
    sandbox: RunningSandbox, twilio: Client
) -> None:
    sandbox.control("/phones", {"number": PATIENT, "name": "Dana Ruiz"})
    twilio.messages.create(to=PATIENT, from_=CLINIC, body="See you at nine")
    sandbox.control("/twilio/inbound-text", {"from": PATIENT, "to": CLINIC, "body": "Thanks"})
    shown = state(sandbox)
    assert [(phone["number"], phone["name"]) for phone in shown["phones"]] == [(PATIENT, "Dana Ruiz")]
    texts = shown["phones"][0]["texts"]
    assert [(text["from_clinic"], text["body"]) for text in texts] == [
        (True, "See you at nine"),
        (False, "Thanks"),
    ]
    assert shown["numbers"][0]["name"] == "Elm Street Clinic"


@pytest.mark.usefixtures("clinic_number")
def test_a_call_by_vapi_over_a_twilio_leg_is_shown_once_with_both_timelines(
    sandbox: RunningSandbox,
) -> None:
    leg = sandbox.control("/twilio/inbound-call", {"from": PATIENT, "to": CLINIC, "wait": True})
    call = {"id": "call-1", "customer": {"number": PATIENT}, "phoneCallProviderId": leg["call_sid"]}
    sandbox.control("/vapi/calls", call)
    sandbox.control("/vapi/calls/call-1/events", {"type": "booked", "role": "tool", "text": "Tue 10:30"})
    calls = state(sandbox)["phones"][0]["calls"]
    assert [shown["id"] for shown in calls] == ["call-1"]
    kinds = [event["type"] for event in calls[0]["events"]]
    assert kinds[0] == "call in"
    assert kinds[-1] == "booked"


def test_an_open_page_is_told_of_texts_and_calls_as_they_come(sandbox: RunningSandbox) -> None:
    with requests.get(f"{sandbox.url}/phone/news", stream=True, timeout=10) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        twilio_client(sandbox.url).messages.create(to=PATIENT, from_=CLINIC, body="<b>See you</b>")
        told = first_news(lines, "text")
        assert (told["phone"], told["body"]) == (PATIENT, "<b>See you</b>")
        sandbox.control("/vapi/calls", {"id": "call-1", "customer": {"number": PATIENT}})
        sandbox.control("/vapi/calls/call-1/events", {"type": "slots", "text": "09:00"})
        assert first_news(lines, "call")["id"] == "call-1"


def test_a_page_left_open_does_not_hold_up_the_end(tmp_path: Path) -> None:
    running = RunningSandbox(tmp_path)
    running.start()
    with requests.get(f"{running.url}/phone/news", stream=True, timeout=10) as stream:
        assert next(stream.iter_lines())
        assert running.stop() == 0


def test_a_page_of_another_origin_may_not_control_the_sandbox(sandbox: RunningSandbox) -> None:
    address = f"{sandbox.url}/_control/reset"
    foreign = requests.post(address, data="{}", headers={"Origin": "https://evil.example"}, timeout=5)
    assert foreign.status_code == 403
    own = requests.post(address, data="{}", headers={"Origin": sandbox.url}, timeout=5)
    assert own.status_code == 200
