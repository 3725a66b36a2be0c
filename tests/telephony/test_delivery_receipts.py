from __future__ import annotations

import itertools
import uuid
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.test import Client, override_settings
from twilio.request_validator import RequestValidator

from messaging.models import Message, OptOut, SenderAccount
from messaging.states import MessageState
from tests.clinics import Clinic
from tests.telephony.rows import row_counts
from tests.telephony.vapi_client import VapiCaller
from voxanne.tenancy.scope import org_scope

SID = "SM" + "1" * 32
COMMON = "/api/webhooks/sms-status"
OWN_ACCOUNT, OWN_TOKEN = "AC" + "7" * 32, "the-clinic's-own-token"
CLIENT = Client(raise_request_exception=False, enforce_csrf_checks=True)


def signature(path: str, form: dict[str, str], token: str) -> str:
    return str(RequestValidator(token).compute_signature(f"{settings.BACKEND_URL}{path}", form))


def post(path: str, form: dict[str, str], headers: dict[str, str]) -> Any:
    kind = "application/x-www-form-urlencoded"
    return CLIENT.post(path, urlencode(form, errors="surrogateescape"), content_type=kind, headers=headers)


def receipt(status: str, **more: str) -> dict[str, str]:
    form = {
        "MessageSid": SID,
        "SmsSid": SID,
        "MessageStatus": status,
        "SmsStatus": status,
        "AccountSid": settings.TWILIO_ACCOUNT_SID,
        "From": "+14155560000",
        "To": "+14155550142",
        "ApiVersion": "2010-04-01",
    }
    return {**form, **more}


def report(
    message: Message, status: str, path: str | None = None, token: str | None = None, **more: str
) -> int:
    """Posts a rightly signed receipt for the message; returns the answer's status code."""
    form = receipt(status, **more)
    address = path or f"/api/webhooks/twilio/sms-status/{message.pk}"
    signed = signature(address, form, token or settings.TWILIO_AUTH_TOKEN)
    code: int = post(address, form, {"X-Twilio-Signature": signed}).status_code
    return code


def now_is(message: Message) -> Message:
    with org_scope(message.org_id):
        return Message.objects.get(pk=message.pk)


def put(message: Message, state: MessageState, sid: str = "", status: str = "") -> None:
    with org_scope(message.org_id):
        Message.objects.filter(pk=message.pk).update(state=state, provider_sid=sid, provider_status=status)


@pytest.fixture
def message(call: VapiCaller) -> Message:
    """A booking's text that Twilio has accepted."""
    return booked_text(call)


def booked_text(call: VapiCaller) -> Message:
    booked = call.use(
        "bookClinicAppointment",
        appointmentDate=call.clinic.next_weekday().isoformat(),
        appointmentTime="10:00",
        patientName="Dana Ruiz",
    )
    assert booked["smsStatus"] == "queued"
    with org_scope(call.clinic.id):
        message = Message.objects.get()
    put(message, MessageState.SENT, SID, "queued")
    return message


@pytest.mark.parametrize("path", [None, COMMON])
def test_a_signed_receipt_says_that_the_text_arrived(message: Message, path: str | None) -> None:
    assert report(message, "delivered", path) == 204
    row = now_is(message)
    assert (row.state, row.provider_status) == (MessageState.DELIVERED, "delivered")
    assert row.delivered_at is not None


@pytest.mark.parametrize("path", [None, COMMON])
@pytest.mark.parametrize(
    "given", ["missing", "", " ", "wrong", "é", "A" * 100_000, "unpadded", "another token"]
)
def test_without_the_right_signature_nothing_is_believed(
    message: Message, path: str | None, given: str
) -> None:
    address, form = path or f"/api/webhooks/twilio/sms-status/{message.pk}", receipt("delivered")
    headers = {"X-Twilio-Signature": given}
    if given == "missing":
        headers = {}
    elif given == "unpadded":
        headers = {"X-Twilio-Signature": signature(address, form, settings.TWILIO_AUTH_TOKEN).rstrip("=")}
    elif given == "another token":
        headers = {"X-Twilio-Signature": signature(address, form, "another-token")}
    before, counts = now_is(message), row_counts()
    answer = post(address, form, headers)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "forbidden"
    assert now_is(message).updated_at == before.updated_at
    assert now_is(message).state == MessageState.SENT
    assert row_counts() == counts


def test_the_signature_covers_every_parameter_and_the_address(message: Message) -> None:
    address, form = f"/api/webhooks/twilio/sms-status/{message.pk}", receipt("sent")
    headers = {"X-Twilio-Signature": signature(address, form, settings.TWILIO_AUTH_TOKEN)}
    assert post(address, {**form, "MessageStatus": "delivered"}, headers).status_code == 403
    assert post(address, {**form, "Extra": "1"}, headers).status_code == 403
    assert post(f"{address}?a=b", form, headers).status_code == 403
    assert post(COMMON, form, headers).status_code == 403
    assert (
        post(
            address, form, {**headers, "Host": "evil.example", "X-Forwarded-Host": "evil.example"}
        ).status_code
        == 204
    )


def test_parameters_twilio_adds_one_day_are_signed_too(message: Message) -> None:
    assert report(message, "delivered", RawDlrDoneDate="2611201010", ChannelToAddress="", Brand="New") == 204


@override_settings(TWILIO_AUTH_TOKEN="")
def test_a_token_that_is_not_set_signs_nothing(message: Message) -> None:
    form = receipt("delivered")
    address = f"/api/webhooks/twilio/sms-status/{message.pk}"
    assert post(address, form, {"X-Twilio-Signature": signature(address, form, "")}).status_code == 403


@pytest.mark.parametrize("account", ["AC" + "9" * 32, "", "x"])
def test_another_account_is_refused_however_well_it_signs(message: Message, account: str) -> None:
    assert report(message, "delivered", AccountSid=account) == 403
    assert now_is(message).state == MessageState.SENT


def give_own_account(clinic: Clinic) -> None:
    with org_scope(clinic.id):
        SenderAccount.objects.update(account_sid=OWN_ACCOUNT, auth_token=OWN_TOKEN)


def test_a_clinics_own_account_signs_for_its_texts(message: Message, elm: Clinic) -> None:
    give_own_account(elm)
    assert report(message, "delivered") == 403
    assert report(message, "delivered", AccountSid=OWN_ACCOUNT) == 403
    assert report(message, "delivered", token=OWN_TOKEN, AccountSid=OWN_ACCOUNT) == 204


@pytest.mark.parametrize("path", [None, COMMON])
def test_another_clinics_account_says_nothing_of_this_clinics_texts(
    message: Message, oak: Clinic, path: str | None
) -> None:
    give_own_account(oak)
    assert report(message, "delivered", path, OWN_TOKEN, AccountSid=OWN_ACCOUNT) == 403
    assert now_is(message).state == MessageState.SENT


def test_an_unknown_text_is_refused_like_a_wrong_signature(message: Message) -> None:
    assert report(message, "delivered", f"/api/webhooks/twilio/sms-status/{uuid.uuid4()}") == 403
    for sid in ("SM" + "2" * 32, "", "x" * 5000, "\x00", "%"):
        assert report(message, "delivered", COMMON, MessageSid=sid) == 403
    assert now_is(message).state == MessageState.SENT


@pytest.mark.parametrize("path", ["/api/webhooks/twilio/sms-status/", "/api/webhooks/twilio/sms-status/7"])
def test_an_address_without_an_id_is_not_there(message: Message, path: str) -> None:
    assert report(message, "delivered", path) == 404


def test_only_posts_are_taken(message: Message) -> None:
    for path in (f"/api/webhooks/twilio/sms-status/{message.pk}", COMMON):
        assert CLIENT.get(path).status_code == 405


@pytest.mark.parametrize("state", [MessageState.QUEUED, MessageState.SENDING, MessageState.UNKNOWN])
@pytest.mark.parametrize(
    ("status", "expected"),
    [("delivered", MessageState.DELIVERED), ("queued", MessageState.SENT), ("sent", MessageState.SENT)],
)
def test_a_receipt_that_overtakes_our_own_knowledge_settles_it(
    message: Message, state: MessageState, status: str, expected: MessageState
) -> None:
    put(message, state)
    assert report(message, status) == 204
    row = now_is(message)
    assert (row.state, row.provider_sid, row.provider_status) == (expected, SID, status)
    assert row.sent_at is not None


@pytest.mark.parametrize("order", list(itertools.permutations(["queued", "sent", "delivered"])))
def test_receipts_in_any_order_end_at_the_furthest(message: Message, order: tuple[str, ...]) -> None:
    for status in order:
        assert report(message, status) == 204
    assert now_is(message).state == MessageState.DELIVERED


def test_a_repeated_receipt_changes_nothing(message: Message) -> None:
    report(message, "delivered")
    first, counts = now_is(message), row_counts()
    for _ in range(3):
        assert report(message, "delivered") == 204
    again = now_is(message)
    assert (again.delivered_at, again.sent_at, again.attempts) == (
        first.delivered_at,
        first.sent_at,
        first.attempts,
    )
    assert row_counts() == counts


def test_read_after_delivered_keeps_the_moment_of_delivery(message: Message) -> None:
    report(message, "delivered")
    arrived = now_is(message).delivered_at
    assert report(message, "read") == 204
    row = now_is(message)
    assert (row.state, row.provider_status, row.delivered_at) == (MessageState.DELIVERED, "read", arrived)
    report(message, "delivered")
    assert now_is(message).provider_status == "read"


@pytest.mark.parametrize("status", ["undelivered", "failed"])
def test_a_text_that_did_not_arrive_is_a_dead_letter_with_its_reason(message: Message, status: str) -> None:
    assert report(message, status, ErrorCode="30005") == 204
    row = now_is(message)
    assert (row.state, row.error_code) == (MessageState.DEAD_LETTER, 30005)
    assert row.last_error
    assert row.dead_lettered_at is not None


def test_an_opt_out_told_by_the_carrier_is_entered_in_the_ledger(message: Message) -> None:
    assert report(message, "failed", ErrorCode="21610") == 204
    assert now_is(message).state == MessageState.SUPPRESSED
    with org_scope(message.org_id):
        assert OptOut.objects.get().recipient == message.recipient


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        ("delivered", "undelivered", MessageState.DELIVERED),
        ("undelivered", "delivered", MessageState.DEAD_LETTER),
        ("failed", "sent", MessageState.DEAD_LETTER),
    ],
)
def test_the_first_final_word_stands(message: Message, first: str, second: str, state: MessageState) -> None:
    report(message, first, ErrorCode="30005")
    before = now_is(message)
    assert report(message, second, ErrorCode="30005") == 204
    assert (now_is(message).state, now_is(message).error_code) == (state, before.error_code)


@pytest.mark.parametrize("code", ["", "abc", "-1", "99999999999", "٣٠٠٠٣", "30003.5", "\x00", "0"])
def test_an_odd_error_code_is_left_out(message: Message, code: str) -> None:
    assert report(message, "undelivered", ErrorCode=code) == 204
    assert now_is(message).state == MessageState.DEAD_LETTER


@pytest.mark.parametrize(
    "status", ["", "banana", "DELIVERED!", "x" * 10_000, "\x00", "delivered\x00", "💥", "'; --"]
)
def test_an_odd_status_never_says_that_a_text_arrived(message: Message, status: str) -> None:
    assert report(message, status) in (204, 400)
    row = now_is(message)
    assert row.state == MessageState.SENT
    assert row.delivered_at is None


@pytest.mark.parametrize("sid", ["", "\x00", "SM\x00" + "1" * 30, "x" * 10_000, "💥" * 40])
def test_an_odd_sid_is_no_fault_of_ours(message: Message, sid: str) -> None:
    put(message, MessageState.SENDING)
    assert report(message, "sent", MessageSid=sid) in (204, 400)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"MessageSid": "x"}'),
        ("application/x-www-form-urlencoded", bytes(range(256))),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % number for number in range(2000))),
        ("application/x-www-form-urlencoded; charset=utf-16", b"a=b"),
        ("multipart/form-data", b"--x"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data"),
        ("", b""),
        ("text/plain", b"x" * 100_000),
    ],
)
@pytest.mark.parametrize("by_sid", [True, False])
def test_a_body_that_is_no_form_is_refused(
    message: Message, content_type: str, body: bytes, by_sid: bool
) -> None:
    address = COMMON if by_sid else f"/api/webhooks/twilio/sms-status/{message.pk}"
    counts = row_counts()
    answer = CLIENT.generic("POST", address, body, content_type, headers={"X-Twilio-Signature": "x"})
    assert 400 <= answer.status_code < 500
    assert row_counts() == counts


def test_a_sid_that_two_clinics_of_one_account_have_says_nothing_of_either(
    message: Message, oak: Clinic
) -> None:
    other = booked_text(VapiCaller(oak, caller="+447700900142"))
    assert report(message, "delivered", COMMON) == 403
    assert {now_is(message).state, now_is(other).state} == {MessageState.SENT}


def test_a_sid_that_another_clinic_claims_keeps_nobodys_receipts_away(message: Message, oak: Clinic) -> None:
    """Whoever has an account of its own can sign a receipt that gives any SID to a text of its own."""
    give_own_account(oak)
    other = booked_text(VapiCaller(oak, caller="+447700900142"))
    assert report(message, "delivered", COMMON) == 204
    assert (now_is(message).state, now_is(other).state) == (MessageState.DELIVERED, MessageState.SENT)
    assert report(other, "undelivered", COMMON, OWN_TOKEN, AccountSid=OWN_ACCOUNT, ErrorCode="30005") == 204
    assert (now_is(message).state, now_is(other).state) == (MessageState.DELIVERED, MessageState.DEAD_LETTER)


def test_an_account_that_another_clinic_names_as_its_own_does_not_take_its_receipts(
    message: Message, oak: Clinic
) -> None:
    with org_scope(oak.id):
        SenderAccount.objects.update(account_sid=settings.TWILIO_ACCOUNT_SID, auth_token=OWN_TOKEN)
    other = booked_text(VapiCaller(oak, caller="+447700900142"))
    assert report(message, "delivered", COMMON) == 204
    assert (now_is(message).state, now_is(other).state) == (MessageState.DELIVERED, MessageState.SENT)


def test_another_clinics_unreadable_credentials_keep_nobodys_receipts_away(
    message: Message, oak: Clinic, settings: Any
) -> None:
    booked_text(VapiCaller(oak, caller="+447700900142"))
    kept = settings.CREDENTIAL_ENCRYPTION_KEYS
    settings.CREDENTIAL_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    give_own_account(oak)
    settings.CREDENTIAL_ENCRYPTION_KEYS = kept
    assert report(message, "delivered", COMMON) == 204
    assert now_is(message).state == MessageState.DELIVERED
