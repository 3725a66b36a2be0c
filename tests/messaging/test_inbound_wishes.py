"""What a person's text asks for: no texts, texts again, help; and who is told of it."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from bookings.booking import Wish, book, cancel
from bookings.models import Appointment
from bookings.states import AppointmentSource
from messaging.inbound import Received, clinic_texted_at, keyword_of
from messaging.manners import consent, keyword_replies
from messaging.manners.keywords import HELP, START, STOP
from messaging.models import (
    Contact,
    InboundMessage,
    Message,
    MessagingPolicy,
    OptOut,
    SenderAccount,
    StaffTask,
)
from messaging.states import MessageState
from telephony.models import WebhookDelivery
from tests.clinics import Clinic
from tests.messaging.desk import Desk
from tests.messaging.test_inbound import PATIENT, arrive, opted_out, post, tasks
from tests.messaging.test_pauses import work_off
from tests.telephony.webhooks import deliveries
from tests.telephony.webhooks import work_off as work_off_webhooks
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db

SERVICE = "MG" + "5" * 32


def visit(clinic: Clinic, *, at: int = 10, offset: int = 0) -> Appointment:
    """A visit of the patient's, its confirmation not sent yet."""
    wish = Wish(
        day=clinic.next_weekday(offset), at=time(at), source=AppointmentSource.VOICE, patient_name="Dana Ruiz",
        phone=PATIENT,
    )  # fmt: skip
    with org_scope(clinic.id):
        booked = book(clinic.plan(), wish)
        return Appointment.objects.get(pk=booked.appointment_id)


# Which word it is


@pytest.mark.parametrize(
    ("body", "keyword"),
    [
        ("Stop!!", STOP), ("opt out", STOP), ("OPT-OUT", STOP), ("Stop all.", STOP), ("“STOP”", STOP),
        ("stop 🛑", STOP), ("s t o p", STOP), ("revoke", STOP), ("QUIT", STOP), ("start!", START), ("un-stop", START),
        ("help", HELP), ("INFO", HELP),
        # Twilio answers these with nothing: a person does.
        ("help!", ""), ("info?", ""),
        ("no stop", ""), ("the end", ""), ("stop it", ""), ("", ""), ("🛑", ""),
    ],
)  # fmt: skip
def test_a_wish_is_known_however_it_is_written(body: str, keyword: str) -> None:
    assert keyword_of(Received("SM1", PATIENT, "+14155560000", body)) == keyword


def test_yes_is_an_answer_to_somebody_who_takes_texts_and_start_to_somebody_who_does_not(elm: Clinic) -> None:
    post(elm, "Yes", sid="SM1")
    assert tasks(elm) == [("text", "Yes", False)]
    post(elm, "STOP", sid="SM2")
    post(elm, "YES", sid="SM3")
    assert not opted_out(elm)
    assert len(tasks(elm)) == 1


# Whom it silences


def service_of(clinic: Clinic, sid: str) -> None:
    with org_scope(clinic.id):
        SenderAccount.objects.update(messaging_service_sid=sid)


def test_a_stop_to_another_number_of_the_clinics_service_holds(desk: Desk) -> None:
    elm = desk.clinic
    service_of(elm, SERVICE)
    message = desk.write()
    assert post(elm, "STOP", To="+14155569999", MessagingServiceSid=SERVICE) == 200
    assert [(sender, out) for sender, _, out, _ in desk.ledger()] == [(SERVICE, True)]
    assert desk.send(message).state == MessageState.SUPPRESSED
    assert desk.write().state == MessageState.SUPPRESSED, "asked when it is written, too"
    post(elm, "START", sid="SM2", MessagingServiceSid=SERVICE)
    assert desk.send(desk.write()).state == MessageState.SENT


def test_a_service_that_nobody_told_us_of_changes_nothing(desk: Desk) -> None:
    message = desk.write()
    post(desk.clinic, "STOP", MessagingServiceSid=SERVICE)
    assert [sender for sender, *_ in desk.ledger()] == [desk.clinic.number]
    assert desk.send(message).state == MessageState.SUPPRESSED


def test_another_clinics_service_is_refused(elm: Clinic, oak: Clinic) -> None:
    service_of(oak, SERVICE)
    assert post(elm, "STOP", MessagingServiceSid=SERVICE) == 200
    assert opted_out(elm)
    assert not opted_out(oak)


def test_a_text_to_a_name_that_two_clinics_have_is_nobodys(elm: Clinic, oak: Clinic) -> None:
    service_of(elm, oak.number)
    assert clinic_texted_at(oak.number) is None
    assert post(oak, "STOP") == 403
    assert not opted_out(elm)


def test_start_lifts_a_carriers_block(desk: Desk) -> None:
    desk.sandbox.control("/twilio/opt-outs", {"number": desk.clinic.number, "phone": PATIENT, "out": True})
    message = desk.write()
    assert desk.send(message).state == MessageState.SUPPRESSED
    assert desk.ledger() == [(desk.clinic.number, PATIENT, True, "carrier")]
    assert desk.write().state == MessageState.SUPPRESSED
    desk.sandbox.control("/twilio/opt-outs", {"number": desk.clinic.number, "phone": PATIENT, "out": False})
    post(desk.clinic, "START")
    assert desk.send(desk.write()).state == MessageState.SENT


def test_a_clinic_that_changes_its_number_takes_its_opt_outs_along(desk: Desk) -> None:
    post(desk.clinic, "STOP")
    with org_scope(desk.clinic.id):
        consent.record(
            desk.clinic.id,
            sender=desk.clinic.number,
            recipient="+14155550143",
            opted_out=False,
            source="keyword",
        )
        SenderAccount.objects.update(number="+14155560099")
        assert consent.carry_over(desk.clinic.id, old=[desk.clinic.number, ""], new="+14155560099") == 1
    assert desk.write().state == MessageState.SUPPRESSED
    assert desk.write(recipient="+14155550143").state == MessageState.QUEUED


# Which wish came last


def worked_off_backwards(clinic: Clinic) -> None:
    """The text that came in first is put off until the other is done with."""
    first, _ = deliveries(clinic)
    for due_in in (timedelta(hours=1), timedelta(hours=-1)):
        with org_scope(clinic.id):
            row = WebhookDelivery.objects.filter(pk=first.pk)
            row.update(next_attempt_at=timezone.now() + due_in)
        work_off_webhooks()


@pytest.mark.parametrize(("first", "last", "out"), [("START", "STOP", True), ("STOP", "START", False)])
def test_what_was_said_last_stands_in_whatever_order_it_is_worked_off(
    desk: Desk, first: str, last: str, out: bool
) -> None:
    with org_scope(desk.clinic.id):
        Contact.objects.create(org=desk.clinic.org, phone=PATIENT, consent_source="staff")
    for sid, word in (("SM1", first), ("SM2", last)):
        arrive(desk.clinic, word, sid=sid)
    worked_off_backwards(desk.clinic)
    assert opted_out(desk.clinic) is out
    assert desk.write().state == (MessageState.SUPPRESSED if out else MessageState.QUEUED)
    assert contact_of(desk.clinic).consent_source == ("staff" if out else "inbound_text")
    with org_scope(desk.clinic.id):
        came_in = InboundMessage.objects.order_by("provider_sid").values_list("received_at", flat=True)
        assert list(came_in) == [row.created_at for row in deliveries(desk.clinic)]


@pytest.mark.parametrize("words", [(True, False), (False, True)])
def test_of_two_wishes_of_one_moment_the_one_for_silence_stands(desk: Desk, words: tuple[bool, bool]) -> None:
    waiting, at = desk.write(), timezone.now()
    for out in words:
        with org_scope(desk.clinic.id):
            consent.record(
                desk.clinic.id, sender=desk.clinic.number, recipient=PATIENT, opted_out=out, source="keyword",
                at=at,
            )  # fmt: skip
    assert opted_out(desk.clinic)
    assert desk.write().state == MessageState.SUPPRESSED
    assert desk.send(waiting).state == MessageState.SUPPRESSED


# A visit ahead


def test_a_cancel_with_a_visit_ahead_is_an_opt_out_and_urgent_for_the_desk(elm: Clinic, oak: Clinic) -> None:
    booked = visit(elm)
    post(elm, "Cancel")
    assert opted_out(elm)
    with org_scope(elm.id):
        task = StaffTask.objects.get()
        assert Appointment.objects.get(pk=booked.pk).status == "confirmed", "a person decides"
    assert (task.kind, task.urgency, task.about) == (
        "opted_out_with_visit",
        "urgent",
        f"appointment:{booked.pk}",
    )
    assert (task.from_number, task.callback_number, task.contact_id) == (PATIENT, PATIENT, booked.contact_id)
    day = booked.starts_at.astimezone(elm.org.zone)
    assert f"Dana Ruiz, {day:%a %-d %b %Y} at 10:00 with Dr. Amara Lee" in task.text
    assert "texted CANCEL" in task.text
    assert "call" in task.text
    assert tasks(oak) == []


def test_it_is_told_each_time_and_once_a_text(elm: Clinic) -> None:
    visit(elm)
    for sid in ("SM1", "SM1", "SM2"):
        post(elm, "CANCEL", sid=sid)
    assert [urgent for _, _, urgent in tasks(elm)] == [True, True]


def test_with_twilios_own_verdict_it_is_the_same(elm: Clinic) -> None:
    visit(elm)
    post(elm, "cancel", OptOutType="STOP")
    assert [urgent for _, _, urgent in tasks(elm)] == [True]


def test_every_visit_ahead_is_named_and_none_that_is_over_or_cancelled(elm: Clinic) -> None:
    first, second, third = visit(elm), visit(elm, offset=1), visit(elm, offset=2)
    with org_scope(elm.id):
        cancel(elm.plan(), second, reason="test")
    with time_machine.travel(first.ends_at + timedelta(minutes=1)):
        post(elm, "END")
    (_, text, urgent) = tasks(elm)[0]
    zone = elm.org.zone
    assert urgent
    assert f"{third.starts_at.astimezone(zone):%a %-d %b}" in text
    for other in (first, second):
        assert f"{other.starts_at.astimezone(zone):%a %-d %b}" not in text


def test_a_stop_with_a_visit_ahead_is_told_once_and_is_not_urgent(elm: Clinic) -> None:
    visit(elm)
    for sid in ("SM1", "SM2"):
        post(elm, "STOP", sid=sid)
    assert [(kind, urgent) for kind, _, urgent in tasks(elm)] == [("opted_out_with_visit", False)]


@pytest.mark.parametrize("word", ["CANCEL", "END", "STOP"])
def test_without_a_visit_ahead_nobody_has_anything_to_do(elm: Clinic, word: str) -> None:
    post(elm, word)
    assert (opted_out(elm), tasks(elm)) == (True, [])


def test_a_carriers_block_with_a_visit_ahead_is_told_too(desk: Desk) -> None:
    visit(desk.clinic)
    desk.sandbox.control("/twilio/opt-outs", {"number": desk.clinic.number, "phone": PATIENT, "out": True})
    work_off()
    assert [(kind, urgent) for kind, _, urgent in tasks(desk.clinic)] == [("opted_out_with_visit", False)]
    assert "carrier" in tasks(desk.clinic)[0][1]


# HELP


def replies(clinic: Clinic) -> list[Message]:
    with org_scope(clinic.id):
        return list(Message.objects.filter(kind="reply"))


def answers_help(clinic: Clinic) -> None:
    with org_scope(clinic.id):
        MessagingPolicy.objects.create(org=clinic.org, answers_help=True)


def test_help_is_left_to_twilio(elm: Clinic) -> None:
    post(elm, "HELP")
    assert (replies(elm), tasks(elm)) == ([], [])


def test_help_is_answered_once_where_twilio_does_not(elm: Clinic) -> None:
    answers_help(elm)
    for _ in range(2):
        post(elm, "HELP")
    (answer,) = replies(elm)
    assert (answer.recipient, answer.sender) == (PATIENT, elm.number)
    assert answer.body.startswith("Elm Street: ")
    assert answer.body.endswith("Reply STOP to opt out.")


def test_help_that_advanced_opt_out_answered_is_not_answered_again(elm: Clinic) -> None:
    answers_help(elm)
    post(elm, "HELP", OptOutType="HELP")
    assert replies(elm) == []


@pytest.mark.parametrize("sender", ["72975", "+18005550100", "+4915112345678"])
def test_no_machine_and_no_stranger_abroad_is_answered(elm: Clinic, sender: str) -> None:
    answers_help(elm)
    post(elm, "HELP", From=sender)
    assert replies(elm) == []


def test_one_phone_gets_one_answer_in_hours_and_stands_behind_others(elm: Clinic) -> None:
    answers_help(elm)
    for serial in range(5):
        post(elm, "HELP", sid=f"SM{serial}")
    assert [answer.priority for answer in replies(elm)] == [2]
    post(elm, "HELP", sid="SM8", From="+14155550143")
    assert len(replies(elm)) == 2
    with time_machine.travel(timezone.now() + keyword_replies.PAUSE + timedelta(minutes=1)):
        post(elm, "HELP", sid="SM9")
    assert len(replies(elm)) == 3


# Consent


def contact_of(clinic: Clinic) -> Contact:
    with org_scope(clinic.id):
        return Contact.objects.get(phone=PATIENT)


def booked_by(clinic: Clinic, source: AppointmentSource, **changes: Any) -> None:
    wish = Wish(
        day=clinic.next_weekday(), at=time(11), source=source, patient_name="Dana Ruiz", phone=PATIENT
    )
    with org_scope(clinic.id):
        book(clinic.plan(), wish)


@pytest.mark.parametrize(
    ("source", "consent_source"),
    [
        (AppointmentSource.VOICE, "phone_call"),
        (AppointmentSource.API, "api"),
        (AppointmentSource.STAFF, "staff"),
    ],
)
def test_a_booking_says_how_somebody_came_to_be_texted(
    elm: Clinic, source: AppointmentSource, consent_source: str
) -> None:
    booked_by(elm, source)
    contact = contact_of(elm)
    assert contact.consent_source == consent_source
    assert contact.consent_at is not None
    assert timezone.now() - contact.consent_at < timedelta(minutes=5)


def test_what_is_known_of_it_stays_until_they_say_so_themselves(elm: Clinic) -> None:
    booked_by(elm, AppointmentSource.STAFF)
    first = timezone.now() - timedelta(days=30)
    with org_scope(elm.id):
        Contact.objects.update(consent_at=first)
    visit(elm, offset=1)
    post(elm, "See you then!", sid="SM1")
    assert (contact_of(elm).consent_source, contact_of(elm).consent_at) == ("staff", first)
    post(elm, "START", sid="SM2")
    assert contact_of(elm).consent_source == "inbound_text"
    assert contact_of(elm).consent_at != first


def test_a_text_of_somebody_known_is_consent_where_there_was_none(elm: Clinic) -> None:
    with org_scope(elm.id):
        Contact.objects.create(org=elm.org, phone=PATIENT)
    post(elm, "Are you open today?")
    assert contact_of(elm).consent_source == "inbound_text"


def test_who_books_by_e_mail_alone_is_not_texted(elm: Clinic) -> None:
    wish = Wish(day=elm.next_weekday(), at=time(11), source=AppointmentSource.API, email="dana@example.org")
    with org_scope(elm.id):
        book(elm.plan(), wish)
        contact = Contact.objects.get()
    assert (contact.consent_source, contact.consent_at) == ("", None)


def test_booking_again_takes_no_opt_out_back(elm: Clinic) -> None:
    post(elm, "STOP")
    booked_by(elm, AppointmentSource.VOICE)
    with org_scope(elm.id):
        assert Message.objects.get().state == MessageState.SUPPRESSED
        assert OptOut.objects.count() == 1
