from __future__ import annotations

from datetime import time

import pytest

from bookings.booking import BookingRefused, Wish, book
from bookings.models import Appointment
from bookings.states import AppointmentSource
from messaging.models import Message
from tests.clinics import Clinic
from voxanne.tenancy.scope import org_scope


def wish(clinic: Clinic, **changes: object) -> Wish:
    fields: dict[str, object] = {
        "day": clinic.next_weekday(),
        "at": time(10),
        "source": AppointmentSource.VOICE,
        "patient_name": "Dana Ruiz",
        "phone": "+14155550142",
    }
    return Wish(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_wish_becomes_an_appointment_and_a_text(elm: Clinic) -> None:
    with org_scope(elm.id):
        booked = book(elm.plan(), wish(elm))
        assert Appointment.objects.get().pk == booked.appointment_id
        message = Message.objects.get()
    assert booked.sms_status == "queued"
    assert message.recipient == "+14155550142"
    assert booked.confirmation_code in message.body


def test_the_same_wish_twice_gives_the_first_booking_again(elm: Clinic) -> None:
    with org_scope(elm.id):
        first = book(elm.plan(), wish(elm))
        again = book(elm.plan(), wish(elm))
        assert Appointment.objects.count() == 1
        assert Message.objects.count() == 1
    assert again.already_booked
    assert again.appointment_id == first.appointment_id


def test_a_taken_time_is_refused_with_alternatives(elm: Clinic) -> None:
    named = {"provider": "provider-0"}
    with org_scope(elm.id):
        book(elm.plan(), wish(elm, **named))
        with pytest.raises(BookingRefused) as refusal:
            book(elm.plan(), wish(elm, phone="+14155550143", at=time(10, 15), **named))
    assert refusal.value.code == "slot_unavailable"
    assert refusal.value.alternatives[0].day == elm.next_weekday()
