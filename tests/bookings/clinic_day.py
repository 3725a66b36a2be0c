"""A clinic's day as a test handles it: wishes, refusals, and what was written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from bookings.availability import Question, free_on
from bookings.booking import Booked, BookingRefused, Wish, book
from bookings.models import (
    Appointment,
    BusyBlock,
    CalendarConnection,
    CalendarPush,
    Closure,
    Provider,
    Service,
)
from bookings.slots import local_start
from bookings.states import AppointmentSource
from messaging.models import Message
from tests.clinics import Clinic
from voxanne.tenancy.scope import org_scope

# A Monday and the Wednesday of the week after. Far ahead of any day on which the suite may really run; its weekdays
# and changes of clocks are those of 2027.
NOW = datetime(2055, 5, 3, 12, 0, tzinfo=UTC)
DAY = date(2055, 5, 12)
PHONE = "+14155550142"


@dataclass
class ClinicDay:
    clinic: Clinic
    now: datetime = NOW

    def wish(self, at: str = "10:00", day: date = DAY, **more: Any) -> Wish:
        given = {"source": AppointmentSource.VOICE, "patient_name": "Dana Ruiz", "phone": PHONE, **more}
        return Wish(day=day, at=time.fromisoformat(at), **given)

    def book(self, at: str = "10:00", day: date = DAY, **more: Any) -> Booked:
        with org_scope(self.clinic.id):
            return book(self.clinic.plan(), self.wish(at, day, **more), self.now)

    def refusal(self, at: str = "10:00", day: date = DAY, **more: Any) -> BookingRefused:
        """How the wish is refused; nothing of a visit may come of it."""
        before = self.written()
        with pytest.raises(BookingRefused) as refused:
            self.book(at, day, **more)
        assert self.written() == before
        return refused.value

    def refused(self, at: str = "10:00", day: date = DAY, **more: Any) -> str:
        return self.refusal(at, day, **more).code

    def written(self) -> tuple[int, int, int]:
        with org_scope(self.clinic.id):
            return Appointment.objects.count(), Message.objects.count(), CalendarPush.objects.count()

    def visit(self, booked: Booked) -> Appointment:
        with org_scope(self.clinic.id):
            found: Appointment = Appointment.objects.select_related("contact", "org").get(
                pk=booked.appointment_id
            )
        return found

    def at(self, clock: str, day: date = DAY) -> datetime:
        """The instant at which the clinic's clock reads so."""
        instant = local_start(day, time.fromisoformat(clock), self.clinic.org.zone)
        assert instant is not None
        return instant

    def free(self, day: date = DAY, provider: str | None = None, length: int | None = None) -> list[str]:
        """The starts that are offered, on the clinic's clock."""
        with org_scope(self.clinic.id):
            question = self.question(provider, length)
            starts = free_on(question, day).starts
        return [f"{start.astimezone(self.clinic.org.zone):%H:%M}" for start in starts]

    def question(self, provider: str | None = None, length: int | None = None) -> Question:
        plan = self.clinic.plan()
        service = plan.service(None)
        assert service is not None
        named = plan.provider(provider) if provider else None
        return Question(
            plan, service, named, timedelta(minutes=length) if length else service.length, self.now
        )

    # What is set up

    def service(self, **columns: Any) -> None:
        with org_scope(self.clinic.id):
            Service.objects.update(**columns)

    def provider(self, index: int = 0) -> Provider:
        return self.clinic.providers[index]

    def close(self, opens: str, closes: str, provider: Provider | None = None, day: date = DAY) -> None:
        with org_scope(self.clinic.id):
            Closure.objects.create(
                org=self.clinic.org,
                provider=provider,
                starts_at=self.at(opens, day),
                ends_at=self.at(closes, day),
            )

    def block(self, start: str, end: str, index: int = 0, day: date = DAY) -> None:
        """The provider's own calendar says that this time is taken."""
        with org_scope(self.clinic.id):
            BusyBlock.objects.create(
                org=self.clinic.org, provider=self.provider(index), external_id=f"block-{start}-{index}",
                starts_at=self.at(start, day), ends_at=self.at(end, day),
            )  # fmt: skip

    def connect(self, index: int = 0, **columns: Any) -> CalendarConnection:
        with org_scope(self.clinic.id):
            made: CalendarConnection = CalendarConnection.objects.create(
                org=self.clinic.org, provider=self.provider(index), **columns
            )
        return made
