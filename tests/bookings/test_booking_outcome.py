"""What follows from a booking and from cancelling it: texts, calendar events, contacts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from bookings.booking import REFUSALS, cancel
from bookings.models import CalendarPush
from bookings.states import AppointmentStatus, PushState
from messaging.models import Contact, Message
from messaging.states import MessageKind, MessageState
from tests.bookings.clinic_day import PHONE, ClinicDay
from tests.clinics import Clinic
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

FIRST, SECOND = "provider-0", "provider-1"
OTHER_PHONE = "+14155550143"


def texts(day: ClinicDay) -> list[Message]:
    with org_scope(day.clinic.id):
        return list(Message.objects.order_by("created_at", "kind"))


# What follows from a booking


def test_a_booking_writes_its_text_and_its_calendar_event_with_it(day: ClinicDay) -> None:
    day.connect()
    booked = day.book()
    assert day.written() == (1, 1, 1)
    (text,) = texts(day)
    assert (text.kind, text.recipient, text.state) == (MessageKind.CONFIRMATION, PHONE, MessageState.QUEUED)
    assert text.expires_at == booked.starts_at
    assert "Wednesday 12 May 2055 at 10:00 AM" in text.body
    assert "Consultation" not in text.body
    assert "Dana" not in text.body


def test_a_booking_that_is_rolled_back_leaves_nothing(day: ClinicDay) -> None:
    day.connect()
    with org_scope(day.clinic.id):
        savepoint = transaction.savepoint()
        day.book()
        transaction.savepoint_rollback(savepoint)
    assert day.written() == (0, 0, 0)


def test_a_visit_that_begins_at_once_is_still_confirmed_by_text(day: ClinicDay) -> None:
    day.now = day.at("10:00")
    day.book("10:00")
    (text,) = texts(day)
    assert text.expires_at >= text.created_at + timedelta(minutes=9)


def test_who_gives_only_an_email_address_gets_no_text(day: ClinicDay) -> None:
    booked = day.book(phone=None, email="Dana@Example.com")
    assert booked.sms_status == "skipped"
    assert day.written() == (1, 0, 0)
    assert day.visit(booked).contact.email == "dana@example.com"
    again = day.book(phone=None, email="dana@example.com ")
    assert again.already_booked


def test_without_phone_and_email_there_is_nobody_to_book_for(day: ClinicDay) -> None:
    with pytest.raises(ValueError, match="phone number or an e-mail address"):
        day.book(phone=None)
    assert day.written() == (0, 0, 0)


def test_a_caller_adds_to_what_is_known_of_a_number_but_rewrites_nothing(day: ClinicDay) -> None:
    day.book("10:00", patient_name="Dana Ruiz", email="dana@example.com")
    day.book("11:00", patient_name="Somebody Else", email="else@example.com")
    with org_scope(day.clinic.id):
        contact = Contact.objects.get()
    assert (contact.name, contact.email) == ("Dana Ruiz", "dana@example.com")
    assert contact.names == ["Dana Ruiz", "Somebody Else"]


def test_every_refusal_has_a_sentence_to_say() -> None:
    assert all(sentence[0].isupper() and sentence[-1] in ".?" for sentence in REFUSALS.values())


# Cancelling


def test_cancelling_withdraws_what_waits_and_tells_the_patient(day: ClinicDay) -> None:
    day.connect()
    booked = day.book()
    with org_scope(day.clinic.id):
        CalendarPush.objects.update(state=PushState.DONE)
        assert cancel(day.clinic.plan(), day.visit(booked), reason="ill")
    visit = day.visit(booked)
    assert (visit.status, visit.cancel_reason) == (AppointmentStatus.CANCELLED, "ill")
    told = {text.kind: text.state for text in texts(day)}
    assert told == {
        MessageKind.CONFIRMATION: MessageState.CANCELED,
        MessageKind.CANCELLED: MessageState.QUEUED,
    }
    with org_scope(day.clinic.id):
        assert CalendarPush.objects.get().state == PushState.QUEUED


def test_a_visit_is_cancelled_once(day: ClinicDay) -> None:
    booked = day.book()
    with org_scope(day.clinic.id):
        assert cancel(day.clinic.plan(), day.visit(booked), reason="first")
        assert not cancel(day.clinic.plan(), day.visit(booked), reason="second")
    assert day.visit(booked).cancel_reason == "first"
    assert len(texts(day)) == 2


def test_a_patient_need_not_be_told(day: ClinicDay) -> None:
    booked = day.book()
    with org_scope(day.clinic.id):
        cancel(day.clinic.plan(), day.visit(booked), reason="", tell_patient=False)
    assert [text.kind for text in texts(day)] == [MessageKind.CONFIRMATION]


def test_another_clinics_visit_cannot_be_cancelled(day: ClinicDay, oak: Clinic) -> None:
    booked = day.book()
    visit = day.visit(booked)
    with org_scope(oak.id):
        assert not cancel(oak.plan(), visit, reason="not ours")
    assert day.visit(booked).status == AppointmentStatus.CONFIRMED
