"""A booking reads a handful of rows, however many visits its clinic has and whatever PostgreSQL knows of the table.

Before a table is first analysed the planner thinks that it holds next to nothing, and any index will do; a plan is
kept for as long as the statistics stay.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from bookings.models import Appointment
from bookings.states import AppointmentSource
from messaging.fates.receipts import Receipt, apply_receipt
from messaging.models import Contact, Message
from tests.analysed import analyse, emptied
from tests.bookings.clinic_day import ClinicDay
from tests.bookings.rows_read import rows_read
from tests.clinics import Clinic
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

VISITS = 2000
LENGTH = timedelta(minutes=15)
A_HANDFUL = 20
# PostgreSQL plans a statement anew for each of its first five sets of values; then one plan may do for all.
UNTIL_PLANNED = 6
TABLES = ("appointments", "sms_delivery_log")


@pytest.fixture(params=["never analysed", "analysed"])
def crowd(request: pytest.FixtureRequest, day: ClinicDay) -> None:
    """Visits of one provider and as many texts, after the day that the tests look at; the planner knows of them, or
    nothing of either table. Plans are made anew."""
    emptied(*TABLES)
    start = day.at("20:00")
    with org_scope(day.clinic.id):
        service = day.question().service
        contacts = Contact.objects.bulk_create(
            Contact(org_id=day.clinic.id, phone=f"+1628{number:07d}") for number in range(VISITS)
        )
        Appointment.objects.bulk_create(
            Appointment(
                org_id=day.clinic.id, provider=day.provider(), service_id=service.id, contact=contact, starts_at=at,
                ends_at=at + LENGTH, blocked_from=at, blocked_until=at + LENGTH, source=AppointmentSource.VOICE,
                confirmation_code=f"{number:06d}",
            )
            for number, contact in enumerate(contacts)
            for at in [start + number * LENGTH]
        )  # fmt: skip
        Message.objects.bulk_create(
            Message(
                org_id=day.clinic.id, kind="reminder", state="delivered", dedupe_key=f"crowd-{number}",
                recipient=f"+1628{number:07d}", sender="+14155560000", body="Text", expires_at=start,
                provider_sid=f"SM{number:032x}",
            )
            for number in range(VISITS)
        )  # fmt: skip
    if request.param == "analysed":
        for table in TABLES:
            analyse(table)
    with connection.cursor() as cursor:
        cursor.execute("DISCARD PLANS")


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("provider", ["provider-0", None])
def test_a_booking_reads_a_handful_of_visits(day: ClinicDay, provider: str | None) -> None:
    for hour in range(UNTIL_PLANNED):
        day.book(f"1{hour}:00", provider=provider, phone=f"+1415555020{hour}")
    with rows_read("appointments") as visits, rows_read("sms_delivery_log") as texts:
        day.book("09:00", provider=provider)
    assert visits.count <= A_HANDFUL
    assert texts.count <= A_HANDFUL


@pytest.mark.usefixtures("crowd")
def test_free_times_are_found_by_reading_that_day_and_the_next_ones_visits(day: ClinicDay) -> None:
    for _ in range(UNTIL_PLANNED):
        day.free(provider="provider-0")
    with rows_read("appointments") as visits:
        assert day.free(provider="provider-0")
    # A visit may reach into the day from the day before, and its buffers from the day after.
    assert visits.count <= 2 * timedelta(days=1) / LENGTH


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("by_address", [True, False])
def test_a_receipt_reads_a_handful_of_texts(elm: Clinic, by_address: bool) -> None:
    with org_scope(elm.id):
        of_sid, named = Message.objects.filter(dedupe_key__in=["crowd-700", "crowd-701"]).order_by(
            "dedupe_key"
        )
        Message.objects.filter(pk=named.pk).update(state="sent", provider_sid="")
    sid = "SM" + "f" * 32 if by_address else of_sid.provider_sid
    for number in range(UNTIL_PLANNED):
        apply_receipt(elm.id, named.pk, Receipt(f"SM{number:032x}", "delivered", None))
    with rows_read("sms_delivery_log") as texts:
        assert apply_receipt(elm.id, named.pk, Receipt(sid, "delivered", None)) == by_address
    assert texts.count <= A_HANDFUL
