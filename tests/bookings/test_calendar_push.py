"""A visit's event on its provider's calendar, by Google's real client over real sockets: there once while the visit
stands, gone when it is cancelled, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings as product
from django.utils import timezone

from bookings.booking import Booked, cancel
from bookings.calendars.push import (
    CALENDAR_PUSH,
    FAILING,
    FIRST_WAIT,
    LONGEST_WAIT,
    SPREAD_SECONDS,
    queue_push,
)
from bookings.models import Appointment, CalendarConnection, CalendarPush
from bookings.states import PushState
from monitoring import transitions
from monitoring.circuits import COOL_DOWN_SECONDS
from tests.bookings.clinic_day import ClinicDay
from tests.clinics import Clinic
from tests.messaging.broken_servers import answering_json, serving
from tests.sandbox.running import RunningSandbox
from voxanne.durable import work
from voxanne.durable.settlement import Settlement
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

CALENDAR = "dr.lee@clinic.example"
GRANT = "refresh-token-of-dr-lee"


def later(seconds: float) -> time_machine.travel:
    return time_machine.travel(timezone.now() + timedelta(seconds=seconds))


@dataclass
class Calendar:
    """Dr. Lee's calendar, connected to a Google of these tests' own."""

    day: ClinicDay
    sandbox: RunningSandbox
    gate_port: int

    def push(self) -> Settlement:
        """One try, as a worker makes it."""
        claimed = work.claim_next(CALENDAR_PUSH)
        assert claimed is not None, "nothing is due"
        settlement = work.perform(CALENDAR_PUSH, claimed)
        assert settlement is not None
        return settlement

    def row(self) -> CalendarPush:
        with org_scope(self.day.clinic.id):
            found: CalendarPush = CalendarPush.objects.get()
        return found

    def connection(self) -> CalendarConnection:
        with org_scope(self.day.clinic.id):
            found: CalendarConnection = CalendarConnection.objects.get()
        return found

    def shown(self) -> list[dict[str, Any]]:
        """The events that the calendar shows."""
        listed = self.sandbox.control("/google/events")
        return [event for event in listed if event["status"] != "cancelled"]

    def cancel(self, booked: Booked) -> None:
        with org_scope(self.day.clinic.id):
            assert cancel(self.day.clinic.plan(), self.day.visit(booked), reason="asked to")

    def fault(self, kind: str, **more: Any) -> None:
        self.sandbox.fault(kind, service="google", **more)

    def shut(self) -> None:
        self.sandbox.control(f"/gates/{self.gate_port}/shut", {})

    def open(self) -> None:
        self.sandbox.control(f"/gates/{self.gate_port}/open", {})


@pytest.fixture
def calendar(elm: Clinic, sandbox: RunningSandbox, settings: Any) -> Iterator[Calendar]:
    gate = sandbox.control("/gates", {})
    settings.GOOGLE_API_BASE_URL = f"{gate['base_url']}/google"
    settings.GOOGLE_TOKEN_URL = f"{gate['base_url']}/google/token"
    settings.GOOGLE_TIMEOUT = (0.5, 0.8)
    day = ClinicDay(elm)
    day.connect(calendar_id=CALENDAR, refresh_token=GRANT)
    made = Calendar(day, sandbox, gate["port"])
    yield made
    made.open()


# Written


def test_a_booked_visit_appears_on_its_providers_calendar(calendar: Calendar) -> None:
    booked = calendar.day.book("10:00")
    assert calendar.push().state == PushState.DONE
    (event,) = calendar.shown()
    assert event["calendar"] == CALENDAR
    assert event["id"] == booked.appointment_id.hex
    assert event["start"] == {"dateTime": "2055-05-12T10:00:00-04:00", "timeZone": "America/New_York"}
    assert event["end"]["dateTime"] == "2055-05-12T10:30:00-04:00"
    row = calendar.row()
    assert (row.state, row.attempts, row.event_id, row.calendar_id) == (
        PushState.DONE,
        1,
        event["id"],
        CALENDAR,
    )
    assert row.pushed_at is not None


def test_whoever_opens_the_calendar_reads_nothing_of_the_patient(calendar: Calendar) -> None:
    calendar.day.book(patient_name="Dana Ruiz")
    calendar.push()
    asked = str(calendar.sandbox.control("/requests?service=google"))
    for secret in ("Dana", "Ruiz", "4155550142"):
        assert secret not in asked
    assert calendar.shown()[0]["visibility"] == "private"


def test_a_provider_without_a_calendar_gets_no_row(calendar: Calendar) -> None:
    calendar.day.book(provider="provider-1")
    with org_scope(calendar.day.clinic.id):
        assert not CalendarPush.objects.exists()


def test_a_calendar_that_was_disconnected_meanwhile_is_skipped(calendar: Calendar) -> None:
    calendar.day.book()
    with org_scope(calendar.day.clinic.id):
        CalendarConnection.objects.all().delete()
    assert calendar.push().state == PushState.SKIPPED
    assert calendar.shown() == []


def test_an_event_is_written_once_however_often_it_is_pushed(calendar: Calendar) -> None:
    booked = calendar.day.book()
    for _ in range(3):
        calendar.push()
        with org_scope(calendar.day.clinic.id):
            queue_push(calendar.day.clinic.id, booked.appointment_id)
    assert len(calendar.shown()) == 1


def test_an_event_that_a_person_deleted_comes_back_while_the_visit_stands(calendar: Calendar) -> None:
    booked = calendar.day.book()
    calendar.push()
    calendar.sandbox.control(
        f"/google/events?calendar={CALENDAR}&id={booked.appointment_id.hex}", method="DELETE"
    )
    assert calendar.shown() == []
    with org_scope(calendar.day.clinic.id):
        queue_push(calendar.day.clinic.id, booked.appointment_id)
    assert calendar.push().state == PushState.DONE
    assert len(calendar.shown()) == 1


# Removed


def test_a_cancelled_visit_is_removed_from_the_calendar(calendar: Calendar) -> None:
    booked = calendar.day.book()
    calendar.push()
    calendar.cancel(booked)
    assert calendar.push().state == PushState.DONE
    assert calendar.shown() == []


def test_a_visit_cancelled_before_it_was_written_leaves_no_event(calendar: Calendar) -> None:
    calendar.cancel(calendar.day.book())
    assert calendar.push().state == PushState.DONE
    assert calendar.shown() == []


def test_an_event_that_a_person_deleted_already_counts_as_removed(calendar: Calendar) -> None:
    booked = calendar.day.book()
    calendar.push()
    calendar.sandbox.control(
        f"/google/events?calendar={CALENDAR}&id={booked.appointment_id.hex}", method="DELETE"
    )
    calendar.cancel(booked)
    assert calendar.push().state == PushState.DONE


# Lost, slow, down


@pytest.mark.parametrize("kind", ["accepted_then_lost", "slow"])
def test_an_answer_that_is_lost_does_not_double_the_event(calendar: Calendar, kind: str) -> None:
    more: dict[str, Any] = {"delay_seconds": 1.2} if kind == "slow" else {}
    calendar.fault(kind, count=1, match={"method": "POST", "path": "events"}, **more)
    calendar.day.book()
    assert calendar.push().state == PushState.QUEUED
    assert len(calendar.shown()) == 1
    with later(6):
        assert calendar.push().state == PushState.DONE
    assert len(calendar.shown()) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "connection_reset"},
        {"kind": "server_error"},
        {"kind": "server_error_with_body", "status": 500, "reason": "backendError"},
        {"kind": "rate_limited"},
        {"kind": "refused_permanent", "status": 403, "reason": "rateLimitExceeded"},
        {"kind": "refused_permanent", "status": 403, "reason": "quotaExceeded"},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()),
)
def test_what_passes_by_itself_is_tried_again(calendar: Calendar, fault: dict[str, Any]) -> None:
    calendar.fault(**fault, count=1, match={"path": "events"})
    calendar.day.book()
    settlement = calendar.push()
    assert (settlement.state, settlement.wait) == (PushState.QUEUED, FIRST_WAIT)
    assert calendar.connection().state == CalendarConnection.State.CONNECTED
    with later(6):
        assert calendar.push().state == PushState.DONE
    assert len(calendar.shown()) == 1


def test_a_google_that_is_down_is_asked_ever_more_rarely_and_nothing_is_lost(calendar: Calendar) -> None:
    calendar.day.book()
    calendar.shut()
    waits = []
    for turn in range(9):
        with later(turn * 600):
            waits.append(calendar.push().wait)
    assert waits[:4] == [FIRST_WAIT * 2**turn for turn in range(4)]
    assert waits[-1] == LONGEST_WAIT
    calendar.open()
    with later(9 * 600):
        assert calendar.push().state == PushState.DONE
    assert len(calendar.shown()) == 1


def test_a_google_that_fails_visit_after_visit_is_left_alone_for_a_while(
    calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transitions, "note", lambda *_, **__: None)
    calendar.fault("server_error", match={"path": "events"})
    for hour in range(9, 13):
        calendar.day.book(f"{hour:02d}:00")
    settled = [calendar.push() for _ in range(4)]
    assert [one.uses_attempt for one in settled] == [True, True, True, False]
    waits = settled[3]
    assert (waits.state, waits.error) == (PushState.QUEUED, FAILING)
    assert timedelta(seconds=25) < waits.wait < timedelta(seconds=COOL_DOWN_SECONDS + SPREAD_SECONDS)
    asked = calendar.sandbox.control("/requests?service=google&path=events")
    assert len(asked) == 3, "the fourth was not asked for"


def test_a_grant_that_is_gone_is_no_outage(calendar: Calendar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "note", lambda *_, **__: None)
    calendar.fault("refused_permanent", status=403, match={"path": "events"})
    for hour in range(9, 13):
        calendar.day.book(f"{hour:02d}:00")
    for _ in range(4):
        assert calendar.push().uses_attempt


def test_a_token_service_that_is_down_is_asked_once_a_try(calendar: Calendar) -> None:
    """google-auth would sleep and ask three times, in a worker that others wait for."""
    calendar.fault("server_error", match={"path": "token"})
    calendar.day.book()
    assert calendar.push().state == PushState.QUEUED
    asked = calendar.sandbox.control("/requests?service=google&path=token")
    assert len(asked) == 1
    assert calendar.connection().state == CalendarConnection.State.CONNECTED


def test_a_push_about_a_visit_that_is_over_is_not_tried_for_ever(calendar: Calendar) -> None:
    booked = calendar.day.book()
    with org_scope(calendar.day.clinic.id):
        over = timezone.now() - timedelta(hours=1)
        Appointment.objects.filter(pk=booked.appointment_id).update(
            starts_at=over - timedelta(hours=1),
            ends_at=over,
            blocked_from=over - timedelta(hours=1),
            blocked_until=over,
        )
    calendar.shut()
    assert calendar.push().state == PushState.DEAD


# Refused


def test_a_connection_that_was_revoked_says_so_and_stops(calendar: Calendar) -> None:
    calendar.sandbox.control("/google/grants", {"revoke": GRANT})
    calendar.day.book()
    assert calendar.push().state == PushState.DEAD
    connection = calendar.connection()
    assert connection.state == CalendarConnection.State.NEEDS_REAUTH
    assert connection.last_error
    refused_at = max(asked["at"] for asked in calendar.sandbox.control("/requests?service=google"))
    calendar.day.book("11:00", phone="+14155550143")
    assert calendar.push().state == PushState.DEAD
    # What an earlier test gave up waiting for may be answered, and so listed, only now.
    since = [
        asked for asked in calendar.sandbox.control("/requests?service=google") if asked["at"] > refused_at
    ]
    assert since == [], "Google was not asked again"
    assert calendar.shown() == []


def test_after_it_is_connected_again_its_pushes_can_be_redriven(calendar: Calendar) -> None:
    calendar.sandbox.control("/google/grants", {"revoke": GRANT})
    calendar.day.book()
    calendar.push()
    with org_scope(calendar.day.clinic.id):
        connection = CalendarConnection.objects.get()
        connection.refresh_token, connection.state = "another-grant", CalendarConnection.State.CONNECTED
        connection.save(update_fields=["refresh_token", "state"])
    assert work.redrive(CalendarPush, calendar.day.clinic.id, calendar.row().pk)
    assert calendar.push().state == PushState.DONE
    assert len(calendar.shown()) == 1


@pytest.mark.parametrize("error", ["invalid_client", "unauthorized_client"])
def test_a_refusal_of_our_own_client_does_not_make_the_clinic_reconnect(
    calendar: Calendar, settings: Any, error: str
) -> None:
    calendar.day.book()
    with serving(answering_json(401, f'{{"error": "{error}"}}')) as base:
        settings.GOOGLE_TOKEN_URL = base
        assert calendar.push().state == PushState.QUEUED
    assert "GOOGLE_CLIENT_ID" in calendar.row().last_error
    assert calendar.connection().state == CalendarConnection.State.CONNECTED


def test_a_connection_without_a_grant_needs_a_person(calendar: Calendar) -> None:
    with org_scope(calendar.day.clinic.id):
        connection = CalendarConnection.objects.get()
        connection.refresh_token = ""
        connection.save(update_fields=["refresh_token"])
    calendar.day.book()
    assert calendar.push().state == PushState.DEAD
    assert calendar.connection().state == CalendarConnection.State.NEEDS_REAUTH


@pytest.mark.parametrize("fault", ["missing", "forbidden"])
def test_a_calendar_that_is_not_there_or_not_ours_is_given_up(calendar: Calendar, fault: str) -> None:
    calendar.sandbox.control("/google/calendars", {"id": CALENDAR, "fault": fault})
    calendar.day.book()
    assert calendar.push().state == PushState.DEAD
    assert calendar.row().last_error
    assert calendar.connection().state == CalendarConnection.State.CONNECTED


# Tokens


def test_an_access_token_is_kept_encrypted_and_used_again(calendar: Calendar) -> None:
    from django.db import connection as database

    calendar.day.book("10:00")
    calendar.push()
    kept = calendar.connection()
    assert kept.access_token
    assert kept.access_token_expires_at is not None
    assert kept.access_token_expires_at > timezone.now()
    with org_scope(calendar.day.clinic.id), database.cursor() as cursor:
        cursor.execute("SELECT access_token, refresh_token FROM calendar_connections")
        stored = cursor.fetchone()
    assert kept.access_token not in stored
    assert GRANT not in stored
    calendar.day.book("11:00", phone="+14155550143")
    calendar.push()
    assert len(calendar.sandbox.control("/requests?service=google&path=token")) == 1


def test_an_access_token_that_google_no_longer_takes_is_renewed(calendar: Calendar) -> None:
    calendar.day.book("10:00")
    calendar.push()
    calendar.sandbox.control("/google/grants", {"expire_access_tokens": True})
    before = calendar.connection().access_token
    calendar.day.book("11:00", phone="+14155550143")
    assert calendar.push().state == PushState.DONE
    assert calendar.connection().access_token != before


# Visits that change while their event is being written


def test_a_visit_cancelled_while_its_event_is_being_written_ends_without_one(calendar: Calendar) -> None:
    booked = calendar.day.book()
    claimed = work.claim_next(CALENDAR_PUSH)
    assert claimed is not None
    # Cancelled, and removed by a second worker, before the first worker's write arrives.
    calendar.cancel(booked)
    assert calendar.push().state == PushState.DONE
    work.perform(CALENDAR_PUSH, claimed)
    assert len(calendar.shown()) == 1, "the late write landed last"
    assert calendar.row().state == PushState.QUEUED
    assert calendar.push().state == PushState.DONE
    assert calendar.shown() == []
    assert calendar.row().state == PushState.DONE


def test_every_try_ends_well_before_its_lease() -> None:
    connect, answer = product.GOOGLE_TIMEOUT
    requests_of_a_try = 2 + 2  # insert and update, each perhaps with a refreshed token before it
    assert (connect + answer) * requests_of_a_try < CALENDAR_PUSH.lease.total_seconds()
