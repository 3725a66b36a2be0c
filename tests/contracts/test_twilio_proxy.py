"""Everything that messaging asks of Twilio, by the real client through a validating proxy to the sandbox: the requests
are as Twilio documents them, and so are the sandbox's replies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from pytest_httpserver import HTTPServer
from twilio.base.exceptions import TwilioRestException

from messaging.providers.answers import TryOutcome
from messaging.providers.twilio import client as twilio
from messaging.states import MessageState
from tests.clinics import Clinic
from tests.contracts.twilio_proxy import ValidatingProxy, proxying
from tests.messaging.desk import PATIENT, Desk
from tests.sandbox.conftest import sandbox, sandbox_process
from tests.sandbox.running import RunningSandbox

__all__ = ["sandbox", "sandbox_process"]

pytestmark = pytest.mark.django_db

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
SERVICE = "MG" + "4" * 32
# WhatsApp fails soon where the person has not written within a day.
STATUSES = ("accepted", "queued", "sending", "sent", "delivered", "failed")


@pytest.fixture
def proxy(sandbox: RunningSandbox, settings: Any) -> Iterator[ValidatingProxy]:
    with proxying(sandbox.url) as standing:
        settings.TWILIO_API_BASE_URL = f"{standing.url}/twilio"
        yield standing


@pytest.fixture
def desk(elm: Clinic, sandbox: RunningSandbox, proxy: ValidatingProxy) -> Desk:
    return Desk(elm, sandbox, gate_port=0)


def client() -> Any:
    return twilio.client_of(twilio.platform_account()).messages


def asked(proxy: ValidatingProxy) -> list[tuple[str, int]]:
    """(method, status) of each exchange. Fails when something was held up."""
    assert proxy.faults == []
    return [(method, status) for method, _, status in proxy.exchanged]


# What is asked


@pytest.mark.parametrize(
    "body", ["See you at nine.", "Ärztehaus „Elm“ – 10:30 😀 & more = 100% + “quotes”", "x" * 1600]
)
def test_a_text_goes_out_and_its_answer_comes_back(desk: Desk, proxy: ValidatingProxy, body: str) -> None:
    message = desk.write(body)
    desk.send(message)
    assert asked(proxy) == [("POST", 201)]
    assert desk.now(message).state == MessageState.SENT
    assert len(desk.phone()) == 1


def test_a_text_whose_answer_was_lost_is_looked_up(
    desk: Desk, sandbox: RunningSandbox, proxy: ValidatingProxy
) -> None:
    sandbox.fault("server_error", count=1)
    message = desk.lose(desk.write())
    assert desk.now(message).state == MessageState.UNKNOWN
    desk.look_up()
    assert asked(proxy) == [("POST", 503), ("GET", 200)]


def test_a_list_of_several_pages_is_turned_over(
    desk: Desk, proxy: ValidatingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio, "PAGE_SIZE", 2)
    for number in range(5):
        desk.send(desk.write(f"Text {number}."))
    listed = twilio.sent_to(
        twilio.platform_account(), recipient=PATIENT, sender=desk.clinic.number, since=LONG_AGO
    )
    assert [one.body for one in listed] == [f"Text {number}." for number in (4, 3, 2, 1, 0)]
    assert asked(proxy) == [("POST", 201)] * 5 + [("GET", 200)] * 3


def test_one_text_is_asked_for_by_its_number_at_twilio(desk: Desk, proxy: ValidatingProxy) -> None:
    desk.send(desk.write())
    assert client()(desk.sids()[0]).fetch().body == "See you at nine."
    with pytest.raises(TwilioRestException) as unknown:
        client()("SM" + "0" * 32).fetch()
    assert unknown.value.status == 404
    assert asked(proxy) == [("POST", 201), ("GET", 200), ("GET", 404)]


@pytest.mark.parametrize(
    "more",
    [
        {"from_": "+14155550100", "media_url": ["https://voxanne.example/picture.png"]},
        {"messaging_service_sid": SERVICE},
        {"messaging_service_sid": SERVICE, "content_sid": "HX" + "6" * 32, "content_variables": '{"1": "nine"}'},
        {"from_": "whatsapp:+14155550100", "to": "whatsapp:+14155550142"},
    ],
    ids=["picture", "service", "template", "whatsapp"],
)  # fmt: skip
def test_every_way_of_sending_that_twilio_has_passes(proxy: ValidatingProxy, more: dict[str, Any]) -> None:
    given = {
        "to": PATIENT,
        "body": "See you at nine.",
        "status_callback": "https://voxanne.example/sms-status/1#rc=3&rp=all",
        "validity_period": 3600,
    }
    created = client().create(**{**given, **more})
    assert created.sid
    assert client()(created.sid).fetch().status in STATUSES
    client().list(to=given["to"], page_size=20)
    assert asked(proxy) == [("POST", 201), ("GET", 200), ("GET", 200)]


@pytest.mark.parametrize(
    ("kind", "more", "status", "outcome"),
    [
        ("refused_permanent", {"code": 21614}, 400, TryOutcome.REFUSED_FOR_GOOD),
        ("refused_permanent", {"code": 21610}, 400, TryOutcome.OPTED_OUT),
        ("refused_permanent", {"code": 20003}, 401, TryOutcome.REFUSED_FOR_GOOD),
        ("rate_limited", {"retry_after": 3}, 429, TryOutcome.REFUSED_FOR_NOW),
        ("server_error_with_body", {"code": 20503, "status": 503}, 503, TryOutcome.REFUSED_FOR_NOW),
        ("server_error", {}, 503, TryOutcome.LOST),
    ],
)
def test_a_refusal_has_twilios_shape_and_is_understood(
    desk: Desk, sandbox: RunningSandbox, proxy: ValidatingProxy, kind: str, more: Any, status: int, outcome: TryOutcome
) -> None:  # fmt: skip
    sandbox.fault(kind, **more)
    message = desk.write()
    desk.send(message)
    assert asked(proxy) == [("POST", status)]
    assert [one.outcome for one in desk.tries(message)] == [outcome.value]


# What the proxy holds up


@pytest.mark.parametrize(
    "damage",
    [
        {"ValidityPeriod": "soon"},
        {"MessagingServiceSid": "MG1"},
        {"Bdy": "See you at nine."},
        {"To": None},
    ],
)
def test_a_request_that_twilio_does_not_know_is_refused_and_not_passed_on(
    desk: Desk, sandbox: RunningSandbox, proxy: ValidatingProxy, monkeypatch: pytest.MonkeyPatch, damage: Any
) -> None:
    original = twilio.PlainHttpClient.request

    def damaged(self: Any, method: str, url: str, **given: Any) -> Any:
        data = {name: value for name, value in {**given.pop("data"), **damage}.items() if value is not None}
        return original(self, method, url, data=data, **given)

    monkeypatch.setattr(twilio.PlainHttpClient, "request", damaged)
    desk.send(desk.write())
    assert len(proxy.faults) >= 1
    assert all(fault.startswith("request: ") for fault in proxy.faults)
    assert proxy.exchanged == []
    assert sandbox.control("/requests?service=twilio") == []


@pytest.mark.parametrize(
    "damage",
    [
        {"status": "on its way"},
        {"sid": "12"},
        {"numsegments": "1"},
        {"num_segments": 1},
        {"date_created": 1_700_000_000},
    ],
)
def test_a_reply_that_twilio_would_not_give_is_found(
    desk: Desk, httpserver: HTTPServer, proxy: ValidatingProxy, damage: Any
) -> None:
    desk.send(desk.write("The first one."))
    httpserver.expect_request(re.compile(".*")).respond_with_json({**shown_by(proxy), **damage}, status=201)
    assert proxy.faults == []
    proxy.upstream = httpserver.url_for("").rstrip("/")
    message = desk.write("The second one.")
    desk.send(message)
    assert [fault for fault in proxy.faults if fault.startswith("reply: ")] == proxy.faults != []
    assert desk.now(message).state == MessageState.UNKNOWN


def test_a_refusal_in_another_shape_is_found(
    desk: Desk, httpserver: HTTPServer, proxy: ValidatingProxy
) -> None:
    httpserver.expect_request(re.compile(".*")).respond_with_json({"error": "no"}, status=400)
    proxy.upstream = httpserver.url_for("").rstrip("/")
    desk.send(desk.write())
    assert proxy.faults == ["reply: not an error of Twilio's: {'error': 'no'}"]


def shown_by(proxy: ValidatingProxy) -> dict[str, Any]:
    """The one text there is, as Twilio's REST API shows it."""
    account = twilio.platform_account()
    address = f"{proxy.upstream}/twilio/2010-04-01/Accounts/{account.sid}/Messages.json"
    listed = requests.get(address, auth=(account.sid, account.auth_token), timeout=10).json()
    return dict(listed["messages"][0])
