"""How long a text is of use, and how long Twilio may keep it: by what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.utils import timezone

from bookings.booking import NewTime, Wish, book, cancel, reschedule
from bookings.models import Appointment
from bookings.states import AppointmentSource
from messaging.models import Message, MessagingPolicy
from messaging.states import MessageKind
from tests.clinics import Clinic
from tests.messaging.desk import PATIENT, Desk
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

LOS_ANGELES = ZoneInfo("America/Los_Angeles")
EVENING = datetime(2027, 1, 20, 20, 40, tzinfo=LOS_ANGELES)


def validity(desk: Desk) -> int:
    return int(desk.sandbox.control("/requests?service=twilio")[0]["form"]["ValidityPeriod"])


def test_each_text_about_a_visit_is_of_use_until_it_begins(elm: Clinic) -> None:
    wish = Wish(day=elm.next_weekday(), at=time(10), source=AppointmentSource.VOICE, phone=PATIENT)
    with org_scope(elm.id):
        booked = book(elm.plan(), wish)
        visit = Appointment.objects.select_related("contact").get(pk=booked.appointment_id)
        moved = reschedule(elm.plan(), visit, NewTime(elm.next_weekday(1), time(11), AppointmentSource.VOICE))
        new = Appointment.objects.select_related("contact").get(pk=moved.appointment_id)
        cancel(elm.plan(), new, reason="test")
        ends = dict(Message.objects.values_list("kind", "expires_at"))
    assert ends[MessageKind.CONFIRMATION] == visit.starts_at
    assert ends[MessageKind.RESCHEDULED] == ends[MessageKind.CANCELLED] == new.starts_at


@pytest.mark.parametrize(
    ("kind", "more", "lives", "seconds"),
    [
        (MessageKind.CONFIRMATION, {}, timedelta(days=30), 36000),
        (MessageKind.CONFIRMATION, {}, timedelta(minutes=40), 2400),
        (MessageKind.MISSED_CALL, {}, timedelta(hours=2), 7200),
        (MessageKind.REMINDER, {"priority": 1}, timedelta(days=1), 3600),
        (MessageKind.REMINDER, {"priority": 1}, timedelta(minutes=20), 1200),
        (MessageKind.REPLY, {"priority": 2}, timedelta(days=1), 3600),
    ],
)
def test_twilio_keeps_a_text_no_longer_than_it_is_of_use(
    desk: Desk, kind: MessageKind, more: dict[str, Any], lives: timedelta, seconds: int
) -> None:
    desk.send(desk.write(kind=kind, expires_at=timezone.now() + lives, **more))
    assert 0 <= seconds - validity(desk) <= 10


def test_what_can_wait_is_not_left_at_twilio_into_the_night(desk: Desk) -> None:
    with org_scope(desk.clinic.id):
        MessagingPolicy.objects.create(org=desk.clinic.org, quiet_from=time(21), quiet_until=time(8))
    with time_machine.travel(EVENING.astimezone(UTC)):
        desk.send(desk.write(kind=MessageKind.REMINDER, priority=1))
        assert 0 <= 20 * 60 - validity(desk) <= 10
        desk.send(desk.write())
        assert validity(desk) > 36000 - 10
