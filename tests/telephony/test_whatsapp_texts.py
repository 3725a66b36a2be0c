"""WhatsApp at Twilio's doors: what people write there, and what is told of what they were sent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from twilio.request_validator import RequestValidator

from messaging import outbox
from messaging.manners import consent
from messaging.models import Contact, InboundMessage, Message, SenderAccount, StaffTask
from messaging.states import MessageKind, MessageState
from tests.clinics import Clinic
from tests.telephony.vapi_client import VapiCaller
from tests.telephony.webhooks import work_off
from voxanne.tenancy.scope import org_scope, platform_scope

PATH = "/api/webhooks/twilio/sms"
PATIENT = "+14155550142"
NUMBER = "+14155569900"


@pytest.fixture(autouse=True)
def whatsapp(elm: Clinic) -> None:
    with org_scope(elm.id):
        SenderAccount.objects.update(whatsapp_number=NUMBER, whatsapp_on=True)


def signed(path: str, form: dict[str, str]) -> int:
    signature = RequestValidator(settings.TWILIO_AUTH_TOKEN).compute_signature(
        f"{settings.BACKEND_URL}{path}", form
    )
    return Client().post(path, form, headers={"X-Twilio-Signature": signature}).status_code


def write(body: str = "Can I come at 3?", *, sid: str = "SM1", **more: str) -> int:
    form = {
        "MessageSid": sid,
        "From": f"whatsapp:{PATIENT}",
        "To": f"whatsapp:{NUMBER}",
        "Body": body,
        "AccountSid": settings.TWILIO_ACCOUNT_SID,
        "ProfileName": "Dana R.",
        "WaId": "14155550142",
    }
    status = signed(PATH, {**form, **more})
    work_off()
    return status


def text(clinic: Clinic) -> Message:
    """A text to the person, as the outbox writes it now."""
    with org_scope(clinic.id):
        written = outbox.enqueue(
            org_id=clinic.id,
            kind=MessageKind.REPLY,
            recipient=PATIENT,
            body="See you at nine.",
            dedupe_key=f"{timezone.now()}",
            expires_at=timezone.now() + timedelta(days=1),
        )
        assert written.message_id is not None
        found: Message = Message.objects.get(pk=written.message_id)
    return found


def contact(clinic: Clinic) -> Contact:
    with org_scope(clinic.id):
        return Contact.objects.get(phone=PATIENT)


def test_a_text_by_whatsapp_is_kept_for_its_clinic_with_what_came_with_it(elm: Clinic, oak: Clinic) -> None:
    assert write(ButtonText="Yes", ButtonPayload="confirm") == 200
    with org_scope(elm.id):
        kept = InboundMessage.objects.get()
    assert (kept.channel, kept.sender, kept.recipient) == ("whatsapp", PATIENT, NUMBER)
    assert (kept.body, kept.profile_name, kept.button) == ("Can I come at 3?", "Dana R.", "confirm")
    with org_scope(oak.id):
        assert not InboundMessage.objects.exists()


def test_a_button_without_words_says_what_it_says(elm: Clinic) -> None:
    write("", ButtonText="Yes, I will come")
    with org_scope(elm.id):
        kept = InboundMessage.objects.get()
    assert (kept.body, kept.button) == ("Yes, I will come", "Yes, I will come")


def test_it_is_for_a_person_to_read_once(elm: Clinic) -> None:
    for _ in range(2):
        write()
    with org_scope(elm.id):
        assert [task.text for task in StaffTask.objects.all()] == ["By WhatsApp: Can I come at 3?"]


def test_whoever_writes_by_whatsapp_is_answered_there(elm: Clinic) -> None:
    assert text(elm).channel == "sms"
    write()
    assert contact(elm).preferred_channel == "whatsapp"
    assert contact(elm).whatsapp_consent_source == "wrote by WhatsApp"
    assert contact(elm).whatsapp_consent_at is not None
    message = text(elm)
    assert (message.channel, message.sender) == ("whatsapp", f"whatsapp:{NUMBER}")


def test_what_people_call_themselves_there_proves_nothing(elm: Clinic) -> None:
    """A name given with the number opens a caller's visits: see lookupCaller."""
    write()
    assert (contact(elm).name, contact(elm).names) == ("", [])


def test_who_wants_texts_keeps_getting_texts(elm: Clinic) -> None:
    write()
    with org_scope(elm.id):
        Contact.objects.update(preferred_channel="sms")
    write("Hello again", sid="SM2")
    assert contact(elm).preferred_channel == "sms"
    assert text(elm).channel == "sms"


def test_a_stop_by_whatsapp_ends_whatsapp_alone(elm: Clinic) -> None:
    write()
    write("STOP", sid="SM2")
    with org_scope(elm.id):
        assert consent.has_opted_out(elm.id, sender=f"whatsapp:{NUMBER}", recipient=PATIENT)
        assert not consent.has_opted_out(elm.id, sender=elm.number, recipient=PATIENT)
        assert not consent.has_opted_out(elm.id, sender=NUMBER, recipient=PATIENT)
    message = text(elm)
    assert (message.channel, message.state) == ("sms", MessageState.QUEUED)
    write("START", sid="SM3")
    assert text(elm).channel == "whatsapp"


def test_a_stop_by_whatsapp_ends_the_preference_until_they_ask_again(elm: Clinic) -> None:
    write()
    write("STOP", sid="SM2")
    assert contact(elm).preferred_channel == ""
    write("Hello?", sid="SM3")
    assert contact(elm).preferred_channel == ""
    write("START", sid="SM4")
    assert contact(elm).preferred_channel == "whatsapp"


def test_a_stop_worked_off_after_the_number_changed_holds_for_the_new_one(elm: Clinic) -> None:
    form = {"MessageSid": "SM1", "From": f"whatsapp:{PATIENT}", "To": f"whatsapp:{NUMBER}", "Body": "STOP"}
    by_text = {"MessageSid": "SM2", "From": PATIENT, "To": elm.number, "Body": "STOP"}
    for one in (form, by_text):
        assert signed(PATH, {**one, "AccountSid": settings.TWILIO_ACCOUNT_SID}) == 200
    with org_scope(elm.id):
        SenderAccount.objects.update(number="+14155569904", whatsapp_number="+14155569903")
    work_off()
    with org_scope(elm.id):
        for sender in ("whatsapp:+14155569903", "+14155569904"):
            assert consent.has_opted_out(elm.id, sender=sender, recipient=PATIENT)


def test_a_stop_as_the_first_word_is_no_consent(elm: Clinic) -> None:
    write("STOP")
    with org_scope(elm.id):
        assert not Contact.objects.filter(preferred_channel="whatsapp").exists()


def test_a_stop_by_text_ends_texts_alone(elm: Clinic) -> None:
    write()
    signed(
        PATH,
        {
            "MessageSid": "SM9",
            "From": PATIENT,
            "To": elm.number,
            "Body": "STOP",
            "AccountSid": settings.TWILIO_ACCOUNT_SID,
        },
    )
    work_off()
    message = text(elm)
    assert (message.channel, message.state) == ("whatsapp", MessageState.QUEUED)


@pytest.mark.parametrize(
    "more", [{"To": f"whatsapp:{NUMBER}0"}, {"To": NUMBER}, {"AccountSid": "AC" + "9" * 32}]
)
def test_another_address_or_account_is_refused(elm: Clinic, more: dict[str, str]) -> None:
    assert write(**more) == 403
    with platform_scope("count"):
        assert not InboundMessage.objects.exists()


def test_a_number_that_is_texted_is_not_thereby_on_whatsapp(elm: Clinic) -> None:
    assert write(To=f"whatsapp:{elm.number}") == 403


def test_one_number_may_be_a_clinics_on_both_channels(elm: Clinic) -> None:
    with org_scope(elm.id):
        SenderAccount.objects.update(whatsapp_number=elm.number)
    assert write(To=f"whatsapp:{elm.number}") == 200
    assert text(elm).sender == f"whatsapp:{elm.number}"


def report(message: Message, status: str, **more: str) -> int:
    form = {
        "MessageSid": "SM" + "1" * 32,
        "SmsSid": "SM" + "1" * 32,
        "MessageStatus": status,
        "SmsStatus": status,
        "AccountSid": settings.TWILIO_ACCOUNT_SID,
        "From": f"whatsapp:{NUMBER}",
        "To": f"whatsapp:{PATIENT}",
        "ChannelPrefix": "whatsapp",
        **more,
    }
    return signed(f"/api/webhooks/twilio/sms-status/{message.pk}", form)


def sent(clinic: Clinic) -> Message:
    write()
    message = text(clinic)
    with org_scope(clinic.id):
        changed = {"state": MessageState.SENT, "provider_sid": "SM" + "1" * 32, "provider_status": "queued"}
        Message.objects.filter(pk=message.pk).update(**changed)
    return message


def now_is(message: Message) -> Message:
    with org_scope(message.org_id):
        return Message.objects.get(pk=message.pk)


def test_a_read_receipt_is_taken(elm: Clinic) -> None:
    message = sent(elm)
    for status in ("sent", "delivered", "read", "delivered"):
        assert report(message, status) == 204
    assert (now_is(message).state, now_is(message).provider_status) == (MessageState.DELIVERED, "read")


def test_a_receipt_of_a_failure_there_sends_the_text_on_by_sms(elm: Clinic) -> None:
    message = sent(elm)
    for _ in range(3):
        assert report(message, "failed", ErrorCode="63016", ChannelStatusMessage="Outside the window") == 204
    waiting = now_is(message)
    assert (waiting.state, waiting.channel, waiting.sender) == (MessageState.QUEUED, "sms", elm.number)


def test_a_booking_by_phone_confirms_by_whatsapp_to_who_writes_there(call: VapiCaller, elm: Clinic) -> None:
    write()
    booked = call.use(
        "bookClinicAppointment",
        appointmentDate=call.clinic.next_weekday().isoformat(),
        appointmentTime="10:00",
        patientName="Dana Ruiz",
        patientPhone=PATIENT,
    )
    assert booked["smsStatus"] == "queued"
    with org_scope(elm.id):
        message = Message.objects.get()
    assert message.channel == "whatsapp"
    values = message.template_values or {}
    assert set(values) == {"clinic", "date", "time", "code", "link"}
    assert all(value in message.body for value in values.values())
