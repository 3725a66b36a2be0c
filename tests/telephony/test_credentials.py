from __future__ import annotations

import hmac
import json
import time

import pytest
from django.test import Client, override_settings

from telephony.models import VapiCredential
from telephony.vapi import credentials
from tests.clinics import Clinic
from tests.telephony.rows import row_counts
from tests.telephony.vapi_client import (
    HMAC_HEADERS,
    TOOLS,
    WEBHOOK,
    VapiCaller,
    bearer,
    reply_of,
    result_of,
    signed,
    tool_call,
    vapi_secret,
)
from voxanne.tenancy.models import Organization
from voxanne.tenancy.scope import org_scope

PLATFORM_SECRET = "the-platform's-own-secret-of-these-tests"
PAIRS = pytest.mark.parametrize("names", HMAC_HEADERS)


def booking_body(call: VapiCaller, **members: object) -> bytes:
    """A message that books a visit once it is let in."""
    wish = {
        "appointmentDate": call.clinic.next_weekday().isoformat(),
        "appointmentTime": "10:00",
        "patientName": "Dana Ruiz",
    }
    return json.dumps(call.tools_message(tool_call("bookClinicAppointment", wish), **members)).encode()


def add_secret(clinic: Clinic, secret: str, *, active: bool = True) -> None:
    with org_scope(clinic.id):
        VapiCredential.objects.create(
            org=clinic.org, digest=credentials.digest(secret), secret=secret, active=active
        )


def stamp(seconds_from_now: float, *, milliseconds: bool = False) -> str:
    moment = time.time() + seconds_from_now
    return str(int(moment * 1000) if milliseconds else int(moment))


def is_let_in(
    call: VapiCaller, headers: dict[str, str], address: str = WEBHOOK, body: bytes | None = None
) -> bool:
    """Whether a booking goes through under these headers; if not, it must be a 401 that writes nothing."""
    before = row_counts()
    answer = call.post(body or booking_body(call), headers, address)
    if answer.status_code == 200:
        assert result_of(reply_of(answer)["results"][0])["ok"]
        return True
    assert answer.status_code == 401
    assert json.loads(answer.content)["error"]["code"] == "unauthorized"
    assert row_counts() == before
    return False


@pytest.mark.parametrize("address", [WEBHOOK, "/api/vapi/webhook", TOOLS])
def test_each_address_takes_the_clinics_secret_and_no_other(call: VapiCaller, address: str) -> None:
    assert not is_let_in(call, {}, address)
    assert not is_let_in(call, vapi_secret(call.clinic.secret[:-1]), address)
    assert is_let_in(call, vapi_secret(call.clinic.secret), address)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_a_bearer_secret_is_taken_in_any_case_of_its_scheme(call: VapiCaller, scheme: str) -> None:
    assert is_let_in(call, bearer(call.clinic.secret, scheme))


@pytest.mark.parametrize("scheme", ["Basic", "Token", "Bearerx", ""])
def test_another_scheme_opens_nothing(call: VapiCaller, scheme: str) -> None:
    assert not is_let_in(call, bearer(call.clinic.secret, scheme))


@PAIRS
@pytest.mark.parametrize("milliseconds", [False, True])
@pytest.mark.parametrize("seconds", [0, -290, 290])
def test_a_signature_is_taken_within_five_minutes_on_both_sides(
    call: VapiCaller, names: tuple[str, str], milliseconds: bool, seconds: int
) -> None:
    body = booking_body(call)
    headers = signed(call.clinic.secret, body, stamp(seconds, milliseconds=milliseconds), names)
    assert is_let_in(call, headers, body=body)


@PAIRS
@pytest.mark.parametrize("milliseconds", [False, True])
@pytest.mark.parametrize("seconds", [-310, 310, -86_400, 86_400, 10**9])
def test_a_right_signature_is_refused_once_it_is_old_or_while_it_is_ahead(
    call: VapiCaller, names: tuple[str, str], milliseconds: bool, seconds: int
) -> None:
    body = booking_body(call)
    headers = signed(call.clinic.secret, body, stamp(seconds, milliseconds=milliseconds), names)
    assert not is_let_in(call, headers, body=body)


@pytest.mark.parametrize(
    "text", ["", " ", "now", "nan", "inf", "-inf", "1e400", "0", "-1", "9" * 400, "2026-11-20"]
)
def test_a_timestamp_that_is_no_recent_moment_is_refused(call: VapiCaller, text: str) -> None:
    body = booking_body(call)
    assert not is_let_in(call, signed(call.clinic.secret, body, text), body=body)


def test_the_signature_covers_the_body_and_the_timestamp(call: VapiCaller) -> None:
    body = booking_body(call)
    headers = signed(call.clinic.secret, body)
    name, stamp_name = HMAC_HEADERS[0]
    assert not is_let_in(call, headers, body=body.replace(b"Dana", b"Dora"))
    assert not is_let_in(call, {**headers, stamp_name: stamp(-60)}, body=body)
    assert not is_let_in(call, {stamp_name: headers[stamp_name]}, body=body)
    assert not is_let_in(call, {name: headers[name]}, body=body)
    assert is_let_in(call, headers, body=body)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda digest: digest[:-1],
        lambda digest: digest + "0",
        lambda digest: "é" + digest[1:],
        lambda digest: "\x80" * 64,
        lambda digest: "0" * 64,
        lambda digest: "0" * 100_000,
        lambda digest: "sha256",
    ],
    ids=["short", "long", "accented", "no text", "zeros", "huge", "a word"],
)
def test_a_digest_that_does_not_fit_is_refused(call: VapiCaller, spoil: object) -> None:
    assert callable(spoil)
    body = booking_body(call)
    headers = signed(call.clinic.secret, body)
    name = HMAC_HEADERS[0][0]
    assert not is_let_in(call, {**headers, name: spoil(headers[name])}, body=body)


def test_every_live_secret_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after one has fitted: how long it takes tells nothing of which it was, or of how far it fitted."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(known: bytes, given: bytes) -> bool:
        compared.append((known, given))
        return known == given

    monkeypatch.setattr(hmac, "compare_digest", compare)
    body = b"{}"
    headers = signed("first", body)
    signature = credentials.presented_signature(headers)
    assert signature is not None
    assert credentials.is_signed_by_one_of(signature, body, ["first", "", "second", "third"])
    assert len(compared) == 3
    assert {given for _, given in compared} == {headers[HMAC_HEADERS[0][0]].encode()}


@pytest.mark.parametrize(
    "secret", ["", " ", "é" * 40, "\x80\xff", "0" * 100_000, "None", "null", "undefined"]
)
def test_a_secret_that_nobody_has_is_refused(call: VapiCaller, secret: str) -> None:
    assert not is_let_in(call, vapi_secret(secret))
    assert not is_let_in(call, bearer(secret))


def test_two_secrets_are_live_while_one_replaces_the_other(call: VapiCaller) -> None:
    add_secret(call.clinic, "the-next-secret-of-elm-street")
    for secret in (call.clinic.secret, "the-next-secret-of-elm-street"):
        body = booking_body(call)
        assert is_let_in(call, vapi_secret(secret))
        assert is_let_in(call, signed(secret, body), body=body)


def test_a_secret_that_was_retired_opens_nothing(call: VapiCaller) -> None:
    with org_scope(call.clinic.id):
        VapiCredential.objects.update(active=False)
    body = booking_body(call)
    assert not is_let_in(call, vapi_secret(call.clinic.secret))
    assert not is_let_in(call, signed(call.clinic.secret, body), body=body)


def test_an_inactive_clinics_secret_opens_nothing(call: VapiCaller) -> None:
    with org_scope(call.clinic.id):
        Organization.objects.filter(pk=call.clinic.id).update(active=False)
    body = booking_body(call)
    assert not is_let_in(call, vapi_secret(call.clinic.secret))
    assert not is_let_in(call, signed(call.clinic.secret, body), body=body)
    assert not is_let_in(call, signed(call.clinic.secret, body), f"{WEBHOOK}?clinic=elm-street", body)


@override_settings(VAPI_WEBHOOK_SECRET=PLATFORM_SECRET)
def test_the_platforms_secret_opens_every_clinic(elm: Clinic, oak: Clinic) -> None:
    for clinic in (elm, oak):
        call = VapiCaller(clinic, caller="+447700900142" if clinic is oak else "+14155550142")
        body = booking_body(call)
        assert is_let_in(call, vapi_secret(PLATFORM_SECRET))
        assert is_let_in(call, bearer(PLATFORM_SECRET))
        assert is_let_in(call, signed(PLATFORM_SECRET, body), body=body)


@override_settings(VAPI_WEBHOOK_SECRET="")
def test_a_platform_secret_that_is_not_set_opens_nothing(call: VapiCaller) -> None:
    body = booking_body(call)
    assert not is_let_in(call, vapi_secret(""))
    assert not is_let_in(call, bearer(""))
    assert not is_let_in(call, signed("", body), body=body)


def test_blank_is_never_the_same_secret() -> None:
    assert not credentials.same_secret("", "")
    assert not credentials.same_secret("something", "")
    assert credentials.same_secret("something", "something")


def test_the_address_may_name_the_clinic_whose_secrets_are_tried(call: VapiCaller) -> None:
    unknown = {"id": call.call_id, "assistantId": "nobody's"}
    body = json.dumps(call.tools_message(call=unknown, phoneNumber={})).encode()
    headers = signed(call.clinic.secret, body)
    assert call.post(body, headers).status_code == 401
    assert call.post(body, headers, f"{WEBHOOK}?clinic=oak-road").status_code == 401
    assert call.post(body, headers, f"{WEBHOOK}?clinic=elm-street").status_code == 400


@pytest.mark.parametrize(
    "key", ["nobody", "%00", "elm-street%00", "%ED%A0%80", "%FF", "'; --", "a" * 5000, ""]
)
def test_a_clinic_key_that_names_nobody_opens_nothing(call: VapiCaller, key: str) -> None:
    assert not is_let_in(call, signed("not a secret", booking_body(call)), f"{WEBHOOK}?clinic={key}")


def test_a_clinic_key_is_no_credential(call: VapiCaller) -> None:
    assert not is_let_in(call, {}, f"{WEBHOOK}?clinic=elm-street")
    assert not is_let_in(call, vapi_secret("wrong"), f"{WEBHOOK}?clinic=elm-street")


def test_one_clinics_signature_does_not_pass_for_another(elm: Clinic, oak: Clinic) -> None:
    call = VapiCaller(elm)
    body = booking_body(call)
    assert not is_let_in(call, signed(oak.secret, body), body=body)


@pytest.mark.parametrize(
    "headers", [{}, {"X-Vapi-Secret": "wrong"}, {"Authorization": "Bearer wrong"}, {"X-Signature": "00"}]
)
def test_nothing_of_an_unknown_senders_body_is_read_or_said_back(
    call: VapiCaller, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    answer = call.post(b'{"message": {"type": "tool-calls", "note": "Kilimanjaro"', headers)
    assert answer.status_code == 401
    assert b"Kilimanjaro" not in answer.content
    assert "Kilimanjaro" not in caplog.text


def test_a_signed_message_needs_no_csrf_token(elm: Clinic) -> None:
    call = VapiCaller(elm, Client(enforce_csrf_checks=True))
    assert is_let_in(call, vapi_secret(elm.secret))


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options", "head"])
def test_only_posts_are_taken(call: VapiCaller, method: str) -> None:
    answer = getattr(call.client, method)(WEBHOOK, headers=vapi_secret(call.clinic.secret))
    assert answer.status_code == 405
