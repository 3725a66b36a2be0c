"""A thousand clinics, each with an HMAC secret of its own: a webhook opens exactly its clinic, and what that costs
does not grow with the clinics. The figures are printed (``-s``)."""

from __future__ import annotations

import hmac
import json
import random
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from django.conf import settings as configured
from django.test import Client
from twilio.request_validator import RequestValidator

from messaging.models import SenderAccount
from telephony.models import Assistant, PhoneNumber, VapiCredential, WebhookDelivery
from telephony.vapi.credentials import digest
from telephony.vapi.door import MOST_PARSED_UNSEEN
from tests.telephony.vapi_client import WEBHOOK, signed
from voxanne.tenancy.models import Organization
from voxanne.tenancy.scope import platform_scope

pytestmark = pytest.mark.django_db

MANY = 1_000
FEW = 3
CLIENT = Client(raise_request_exception=False)


@dataclass(frozen=True)
class Named:
    """One of the thousand."""

    org_id: uuid.UUID
    serial: int

    @property
    def secret(self) -> str:
        return f"hmac-secret-of-clinic-{self.serial}"

    @property
    def next_secret(self) -> str:
        return f"next-hmac-secret-of-clinic-{self.serial}"

    @property
    def slug(self) -> str:
        return f"clinic-{self.serial}"

    @property
    def number(self) -> str:
        return f"+1415{5_000_000 + self.serial}"

    @property
    def account(self) -> str:
        return f"AC{self.serial:032d}"

    @property
    def token(self) -> str:
        return f"auth-token-{self.serial}"

    def body(self, by: str, **more: Any) -> bytes:
        """A message that says by one thing alone which clinic it is of."""
        call: dict[str, Any] = {"id": f"{self.serial}/{uuid.uuid4()}"}
        number: dict[str, Any] = {}
        if by == "assistant":
            call["assistantId"] = f"assistant-{self.serial}"
        if by == "number id":
            call["phoneNumberId"] = f"number-{self.serial}"
        if by == "dialled":
            number["number"] = self.number
        message = {"type": "hang", "timestamp": 1795160427736, "call": call, "phoneNumber": number, **more}
        return json.dumps({"message": message}).encode()


def make(first: int, count: int) -> list[Named]:
    """Clinics that have nothing but what a webhook is known by."""
    with platform_scope("test data"):
        orgs = Organization.objects.bulk_create(
            Organization(name=f"Clinic {n}", slug=f"clinic-{n}", timezone="America/New_York", country="US")
            for n in range(first, first + count)
        )
        made = [Named(org.pk, first + n) for n, org in enumerate(orgs)]
        PhoneNumber.objects.bulk_create(
            PhoneNumber(
                org_id=one.org_id,
                number=one.number,
                forward_to="+14155550199",
                vapi_phone_number_id=f"number-{one.serial}",
            )
            for one in made
        )
        Assistant.objects.bulk_create(
            Assistant(org_id=one.org_id, vapi_assistant_id=f"assistant-{one.serial}", name=one.slug)
            for one in made
        )
        SenderAccount.objects.bulk_create(
            SenderAccount(org_id=one.org_id, number=one.number, account_sid=one.account, auth_token=one.token)
            for one in made
        )
        VapiCredential.objects.bulk_create(credential(one, one.secret) for one in made)
    return made


def credential(clinic: Named, secret: str) -> VapiCredential:
    return VapiCredential(org_id=clinic.org_id, digest=digest(secret), secret=secret)


def post(clinic: Named, secret: str, by: str = "assistant", **more: Any) -> int:
    # The address chooses whose secrets are tried; which clinic is meant the message says all the same.
    body = clinic.body("dialled" if by == "address" else by, **more)
    address = f"{WEBHOOK}?clinic={clinic.slug}" if by == "address" else WEBHOOK
    answer = CLIENT.generic("POST", address, body, "application/json", headers=signed(secret, body))
    return int(answer.status_code)


def stored() -> list[tuple[int, uuid.UUID]]:
    """Of which clinic's call each webhook in the ledger speaks, and whose it was taken for."""
    with platform_scope("whose webhooks came in"):
        rows = WebhookDelivery.objects.values_list("provider_call_id", "event_id", "org_id")
        return sorted(
            (int((call or event).partition("/")[0].rpartition("SM")[2]), org_id)
            for call, event, org_id in rows
        )


def own(clinics: Iterable[Named]) -> list[tuple[int, uuid.UUID]]:
    return sorted((clinic.serial, clinic.org_id) for clinic in clinics)


@dataclass
class Spent:
    hmacs: int = 0
    statements: int = 0


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spent]:
    """The product's HMACs and statements; that of the sender is the first of the HMACs."""
    spent = Spent()
    new, execute = hmac.new, psycopg.Cursor.execute

    def count_hmac(*words: Any, **more: Any) -> Any:
        spent.hmacs += 1
        return new(*words, **more)

    def count_statement(*words: Any, **more: Any) -> Any:
        spent.statements += 1
        return execute(*words, **more)

    with monkeypatch.context() as watched:
        watched.setattr(hmac, "new", count_hmac)
        watched.setattr(psycopg.Cursor, "execute", count_statement)
        yield spent
    spent.hmacs -= 1


def cost(monkeypatch: pytest.MonkeyPatch, clinic: Named, by: str = "assistant", **more: Any) -> Spent:
    """Of a webhook of a clinic whose secrets are known already."""
    assert post(clinic, clinic.secret, by, **more) == 200
    with counted(monkeypatch) as spent:
        assert post(clinic, clinic.secret, by, **more) == 200
    return spent


def test_each_signature_opens_its_own_clinic_and_no_other() -> None:
    clinics = make(0, MANY)
    ways = ("assistant", "number id", "dialled", "address")
    began = time.perf_counter()
    for clinic in clinics:
        assert post(clinic, clinic.secret, ways[clinic.serial % len(ways)]) == 200
    took = time.perf_counter() - began
    assert stored() == own(clinics)
    for clinic in clinics[::5]:
        neighbour = clinics[clinic.serial - 1]
        assert post(clinic, neighbour.secret, ways[clinic.serial % len(ways)]) == 401
    assert len(stored()) == MANY
    print(f"\n{MANY} clinics: {took / MANY * 1000:.2f} ms a signed webhook, the first of each clinic")


@pytest.mark.parametrize("by", ["assistant", "number id", "dialled", "address"])
def test_what_a_signature_costs_does_not_grow_with_the_clinics(
    by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = cost(monkeypatch, make(0, FEW)[1], by)
    clinics = make(FEW, MANY - FEW)
    many = [cost(monkeypatch, clinic, by) for clinic in (clinics[0], clinics[500], clinics[-1])]
    assert many == [few] * len(many)
    # Each is a digest of the whole body: the clinic's own secret fits, and no other is tried.
    assert few.hmacs == 1
    print(f"\nby {by}: {few.hmacs} HMACs, {few.statements} statements with {FEW} clinics and with {MANY}")


def test_a_large_body_costs_no_more_hmacs(monkeypatch: pytest.MonkeyPatch) -> None:
    clinics = make(0, MANY)
    spent = cost(monkeypatch, clinics[700], "assistant", transcript="word " * (MOST_PARSED_UNSEEN // 5))
    assert spent.hmacs == 1


def test_a_stranger_costs_two_hmacs_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    clinics = make(0, MANY)
    for clinic in (clinics[3], Named(uuid.uuid4(), 777_777)):
        with counted(monkeypatch) as spent:
            assert post(clinic, "a guess") == 401
        assert spent.hmacs <= 2
    assert stored() == []


def test_two_secrets_open_while_one_replaces_the_other_and_then_the_new_one_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clinics = make(0, MANY)
    chosen = random.Random(7).sample(clinics, 25)
    assert all(post(clinic, clinic.next_secret) == 401 for clinic in chosen)
    with platform_scope("test data"):
        VapiCredential.objects.bulk_create(credential(clinic, clinic.next_secret) for clinic in chosen)
    for clinic in chosen:
        assert [post(clinic, secret) for secret in (clinic.secret, clinic.next_secret)] == [200, 200]
    assert cost(monkeypatch, chosen[0]).hmacs == 2
    before = len(stored())
    with platform_scope("test data"):
        old = [digest(clinic.secret) for clinic in chosen]
        VapiCredential.objects.filter(digest__in=old).update(active=False)
    for clinic in chosen:
        assert [post(clinic, secret) for secret in (clinic.secret, clinic.next_secret)] == [401, 200]
    assert len(stored()) == before + len(chosen)
    assert post(clinics[0] if clinics[0] not in chosen else clinics[1], chosen[0].next_secret) == 401


def text_to(clinic: Named, token: str, account: str | None = None) -> int:
    """An incoming text at a number of the clinic's, which has a Twilio account of its own."""
    path = "/api/webhooks/twilio/sms"
    form = {
        "MessageSid": f"SM{clinic.serial}/{uuid.uuid4().hex}"[:34],
        "AccountSid": account or clinic.account,
        "From": "+14155550142",
        "To": clinic.number,
        "Body": "Hello",
    }
    given = RequestValidator(token).compute_signature(f"{configured.BACKEND_URL}{path}", form)
    kind = "application/x-www-form-urlencoded"
    answer = CLIENT.post(path, urlencode(form), content_type=kind, headers={"X-Twilio-Signature": given})
    return int(answer.status_code)


def test_each_twilio_account_speaks_for_its_own_clinics_numbers() -> None:
    clinics = make(0, MANY)
    chosen = random.Random(7).sample(clinics, 50)
    for clinic in chosen:
        stranger = clinics[clinic.serial - 1]
        assert text_to(clinic, stranger.token) == 403
        assert text_to(clinic, stranger.token, stranger.account) == 403
        assert text_to(clinic, clinic.token) == 200
    assert stored() == own(chosen)
