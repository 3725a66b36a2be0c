from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.test import override_settings
from pytest_httpserver import HTTPServer
from werkzeug import Request

from bookings.calendars import push
from bookings.calendars.google.client import Event, Session
from bookings.models import CalendarConnection, CalendarPush
from tests.contracts.specifications import document, google_faults
from tests.telephony.vapi_client import Json, VapiCaller
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope

CALENDAR = "amara lee+clinic@group.calendar.example"
# Base32hex in small letters, 5 to 1024 of them (Event.id in the discovery document).
CLIENT_ID = re.compile(r"[a-v0-9]{5,1024}")


@pytest.fixture
def google(httpserver: HTTPServer) -> Iterator[HTTPServer]:
    """Google's token endpoint and calendar, as far as one event needs them."""
    token = {"access_token": "ya29.test", "expires_in": 3599, "token_type": "Bearer"}
    httpserver.expect_request("/token", method="POST").respond_with_json(token)
    httpserver.expect_request(re.compile("/google/.*")).respond_with_json({"status": "confirmed"})
    addresses = {
        "GOOGLE_API_BASE_URL": httpserver.url_for("/google"),
        "GOOGLE_TOKEN_URL": httpserver.url_for("/token"),
    }
    with override_settings(**addresses):
        yield httpserver


def event(**changes: Any) -> Event:
    start = datetime(2026, 11, 24, 10, tzinfo=ZoneInfo("America/New_York"))
    wish = {
        "id": uuid4().hex,
        "summary": "Consultation (Voxanne)",
        "starts_at": start,
        "ends_at": start + timedelta(minutes=30),
        "time_zone": "America/New_York",
        "private": {"appointment": str(uuid4()), "clinic": "elm-street"},
    }
    return Event(**{**wish, **changes})


def calls(google: HTTPServer) -> list[Request]:
    return [request for request, _ in google.log if request.path.startswith("/google/")]


def method_faults(request: Request, name: str) -> list[str]:
    """What the discovery document finds wrong with the request's method, address and query."""
    found = document("google_calendar_v3_discovery.json")
    method = found["resources"]["events"]["methods"][name]
    faults = (
        [] if request.method == method["httpMethod"] else [f"{request.method} is not {method['httpMethod']}"]
    )
    wanted = "/google/calendar/v3/" + re.sub(r"\{\w+\}", "[^/]+", method["path"])
    if not re.fullmatch(wanted, request.path):
        faults.append(f"{request.path} is not {method['path']}")
    known = {**found["parameters"], **method["parameters"]}
    for parameter, value in request.args.items():
        allowed = known.get(parameter, {}).get("enum")
        if parameter not in known or (allowed and value not in allowed):
            faults.append(f"{parameter}={value} is unknown")
    return faults


def test_an_event_is_written_as_google_documents_it(google: HTTPServer) -> None:
    wanted = event()
    Session(CalendarConnection(calendar_id=CALENDAR, refresh_token="refresh")).put(wanted)
    (request,) = calls(google)
    assert method_faults(request, "insert") == []
    assert google_faults(request.json) == []
    assert CLIENT_ID.fullmatch(request.json["id"])
    assert request.headers["Authorization"] == "Bearer ya29.test"
    assert CALENDAR in request.path


def test_an_event_that_is_there_already_is_updated_as_google_documents_it(google: HTTPServer) -> None:
    google.clear()
    token = {"access_token": "ya29.test", "expires_in": 3599, "token_type": "Bearer"}
    google.expect_request("/token", method="POST").respond_with_json(token)
    duplicate = {
        "errors": [{"domain": "global", "reason": "duplicate", "message": "…"}],
        "code": 409,
        "message": "…",
    }
    google.expect_request(re.compile("/google/.*"), method="POST").respond_with_json(
        {"error": duplicate}, status=409
    )
    google.expect_request(re.compile("/google/.*"), method="PUT").respond_with_json({"status": "confirmed"})
    Session(CalendarConnection(calendar_id=CALENDAR, refresh_token="refresh")).put(event())
    insert, update = calls(google)
    assert method_faults(insert, "insert") == []
    assert method_faults(update, "update") == []
    assert google_faults(update.json) == []
    assert update.json == insert.json


def test_an_event_is_removed_as_google_documents_it(google: HTTPServer) -> None:
    Session(CalendarConnection(calendar_id=CALENDAR, refresh_token="refresh")).remove(uuid4().hex)
    (request,) = calls(google)
    assert method_faults(request, "delete") == []
    assert not request.get_data()


@pytest.mark.parametrize(
    "zone", ["America/New_York", "Europe/London", "Asia/Kathmandu", "America/St_Johns", "UTC"]
)
@pytest.mark.parametrize(
    "moment", [datetime(2026, 3, 29, 1, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)]
)
def test_an_events_times_say_one_instant_in_every_zone(zone: str, moment: datetime) -> None:
    start = moment.astimezone(ZoneInfo(zone))
    body = event(starts_at=start, ends_at=start + timedelta(minutes=30), time_zone=zone).body()
    assert google_faults(body) == []
    assert datetime.fromisoformat(body["start"]["dateTime"]) == moment
    assert body["start"]["timeZone"] == zone


def test_a_bookings_event_is_valid_and_names_nobody(call: VapiCaller, google: HTTPServer) -> None:
    with org_scope(call.clinic.id):
        for provider in call.clinic.providers:
            CalendarConnection.objects.create(
                org=call.clinic.org, provider=provider, calendar_id=CALENDAR, refresh_token="refresh"
            )
    booked = call.use(
        "bookClinicAppointment",
        appointmentDate=call.clinic.next_weekday().isoformat(),
        appointmentTime="10:00",
        patientName="Dana Ruiz",
    )
    with org_scope(call.clinic.id):
        row = CalendarPush.objects.get()
    claimed = work.claim(push.CALENDAR_PUSH, call.clinic.id, row.pk)
    assert claimed is not None
    push.CALENDAR_PUSH.perform(claimed.row, claimed.prepared)
    (request,) = calls(google)
    assert method_faults(request, "insert") == []
    assert google_faults(request.json) == []
    assert request.json["id"] == booked["appointmentId"].replace("-", "")
    assert CLIENT_ID.fullmatch(request.json["id"])
    for secret in ("Dana", "Ruiz", "4155550142", booked["confirmationCode"]):
        assert secret not in request.get_data(as_text=True)


def without(body: Json, name: str) -> Json:
    return {key: value for key, value in body.items() if key != name}


def test_the_validator_finds_a_damaged_event() -> None:
    body = event().body()
    assert google_faults(body) == []
    for damaged in (
        without(body, "start"),
        without(body, "end"),
        {**body, "starts": body["start"]},
        {**body, "start": {**body["start"], "dateTime": "tomorrow at ten"}},
        {**body, "start": {**body["start"], "timezone": "UTC"}},
        {**body, "summary": 7},
        {**body, "reminders": {"useDefault": "no"}},
        {**body, "extendedProperties": {"private": {"appointment": 7}}},
        {**body, "extendedProperties": {"hidden": {}}},
    ):
        assert google_faults(damaged)


@pytest.mark.parametrize("damaged", ["ABCDEF", "abcd", "wxyz0123", "0190-1234", "a" * 1025, ""])
def test_the_alphabet_of_client_ids_is_narrow(damaged: str) -> None:
    assert not CLIENT_ID.fullmatch(damaged)
