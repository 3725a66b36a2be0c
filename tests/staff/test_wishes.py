"""What a person said of texts, written down at the desk; and the rules a clinic gives its texts."""

from __future__ import annotations

from datetime import time, timedelta

import pytest
from django.utils import timezone

from messaging.manners import consent
from messaging.manners.policy import HELD_FOR_THE_NIGHT
from messaging.models import Contact, Message, MessagingPolicy, SenderAccount
from messaging.states import MessageKind, MessageState
from tests.clinics import Clinic
from tests.staff.conftest import SignIn
from tests.staff.test_dead_letters import YES, told, trail
from voxanne.tenancy.scope import org_scope, platform_scope

pytestmark = pytest.mark.django_db

PATIENT = "+14155550142"
RULES = "/admin/messaging/messagingpolicy/"


@pytest.fixture
def contact(elm: Clinic) -> Contact:
    with org_scope(elm.id):
        made: Contact = Contact.objects.create(org=elm.org, name="Dana Ruiz", phone=PATIENT)
    return made


def page(contact: Contact, act: str) -> str:
    return f"/admin/messaging/contact/{contact.pk}/{act}/"


def out(clinic: Clinic, recipient: str = PATIENT) -> bool:
    with org_scope(clinic.id):
        return consent.has_opted_out(clinic.id, sender=clinic.number, recipient=recipient)


@pytest.mark.parametrize(
    ("role", "answer"), [("owner", 302), ("manager", 302), ("receptionist", 302), ("viewer", 403)]
)
def test_the_desk_writes_down_what_it_is_told(
    elm: Clinic, contact: Contact, sign_in: SignIn, role: str, answer: int
) -> None:
    client = sign_in(elm.staff[role])
    said = {**YES, "reason": "Said so on the phone"}
    assert client.post(page(contact, "record_opt_out"), said).status_code == answer
    assert out(elm) is (answer == 302)
    assert (
        client.post(page(contact, "record_opt_in"), {**said, "reason": "Asked again"}).status_code == answer
    )
    assert not out(elm)
    reasons = [line.reason for act in ("opt_out", "opt_in") for line in trail(f"contact.{act}")]
    assert reasons == (["Said so on the phone", "Asked again"] if answer == 302 else [])
    with org_scope(elm.id):
        assert Contact.objects.get().consent_source == ("staff" if answer == 302 else "")


def test_without_a_reason_nothing_is_written(elm: Clinic, contact: Contact, sign_in: SignIn) -> None:
    client = sign_in(elm.staff["owner"])
    assert client.get(page(contact, "record_opt_out")).status_code == 200
    assert client.post(page(contact, "record_opt_out"), YES).status_code == 200
    assert not out(elm)


def test_pressing_twice_writes_one_line(elm: Clinic, contact: Contact, sign_in: SignIn) -> None:
    client = sign_in(elm.staff["owner"])
    answers = [client.post(page(contact, "record_opt_out"), {**YES, "reason": "Asked"}) for _ in range(2)]
    assert told(answers[1])[-1] == "They had opted out already."
    assert len(trail("contact.opt_out")) == 1


def test_another_clinics_contact_is_not_found(
    elm: Clinic, oak: Clinic, contact: Contact, sign_in: SignIn
) -> None:
    client = sign_in(oak.staff["owner"])
    assert client.post(page(contact, "record_opt_out"), {**YES, "reason": "Asked"}).status_code == 404
    assert not out(elm)


def test_who_opted_out_by_text_has_to_text_start_too(elm: Clinic, contact: Contact, sign_in: SignIn) -> None:
    with org_scope(elm.id):
        consent.record(elm.id, sender=elm.number, recipient=PATIENT, opted_out=True, source="keyword")
    answer = sign_in(elm.staff["receptionist"]).post(
        page(contact, "record_opt_in"), {**YES, "reason": "Asked"}
    )
    assert "text START" in told(answer)[0]
    assert not out(elm)


def test_the_page_tells_what_they_want_and_since_when(elm: Clinic, contact: Contact, sign_in: SignIn) -> None:
    client = sign_in(elm.staff["receptionist"])
    address = f"/admin/messaging/contact/{contact.pk}/change/"
    shown = client.get(address).content.decode()
    assert "Takes texts" in shown
    assert "record_opt_out" in shown
    assert "record_opt_in" not in shown
    client.post(page(contact, "record_opt_out"), {**YES, "reason": "Asked"})
    shown = client.get(address).content.decode()
    assert "No texts since" in shown
    assert "told to staff" in shown
    assert "record_opt_in" in shown


def test_a_new_number_keeps_the_opt_outs_of_the_old(elm: Clinic, sign_in: SignIn) -> None:
    with org_scope(elm.id):
        consent.record(elm.id, sender=elm.number, recipient=PATIENT, opted_out=True, source="keyword")
        sender = SenderAccount.objects.get()
    with platform_scope("test data"):
        operator = elm.staff["owner"]
        operator.is_superuser = True
        operator.save(update_fields=["is_superuser"])
    answer = sign_in(operator).post(
        f"/admin/messaging/senderaccount/{sender.pk}/change/", {"number": "+14155569876"}
    )
    assert answer.status_code == 302
    with org_scope(elm.id):
        assert SenderAccount.objects.get().number == "+14155569876"
        assert consent.has_opted_out(elm.id, sender="+14155569876", recipient=PATIENT)


# The rules


def rules(**changes: str) -> dict[str, str]:
    blank = {"quiet_from": "", "quiet_until": "", "monthly_segments": "", "messages_a_minute": ""}
    return {**blank, **changes}


def the_rules() -> MessagingPolicy | None:
    with platform_scope("check"):
        found: MessagingPolicy | None = MessagingPolicy.objects.first()
    return found


@pytest.mark.parametrize(
    ("role", "answer"), [("owner", 302), ("manager", 302), ("receptionist", 403), ("viewer", 403)]
)
def test_managers_give_the_rules(elm: Clinic, sign_in: SignIn, role: str, answer: int) -> None:
    given = rules(quiet_from="21:00", quiet_until="08:00", monthly_segments="1000")
    assert sign_in(elm.staff[role]).post(f"{RULES}add/", given).status_code == answer
    made = the_rules()
    assert (made is not None) == (answer == 302)
    if made is not None:
        assert (made.org_id, made.quiet_from, made.monthly_segments) == (elm.id, time(21), 1000)
        assert made.messages_a_minute is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (rules(quiet_from="21:00"), "Give both times"),
        (rules(quiet_until="08:00"), "Give both times"),
        (rules(quiet_from="08:00", quiet_until="08:00"), "That would be all day"),
        (rules(monthly_segments="0"), "greater than or equal to 1"),
    ],
)
def test_rules_that_make_no_sense_are_refused(
    elm: Clinic, sign_in: SignIn, given: dict[str, str], said: str
) -> None:
    answer = sign_in(elm.staff["owner"]).post(f"{RULES}add/", given)
    assert (answer.status_code, said in answer.content.decode()) == (200, True)
    assert the_rules() is None


def test_a_clinic_has_one_set_of_rules(elm: Clinic, sign_in: SignIn) -> None:
    client = sign_in(elm.staff["owner"])
    assert [client.post(f"{RULES}add/", rules()).status_code for _ in range(2)] == [302, 200]


@pytest.mark.parametrize("act", ["change", "delete"])
def test_rules_that_change_let_go_what_the_old_ones_held(elm: Clinic, sign_in: SignIn, act: str) -> None:
    now = timezone.now()
    with org_scope(elm.id):
        made = MessagingPolicy.objects.create(org=elm.org, quiet_from=time(21), quiet_until=time(8))
        held = Message.objects.create(
            org=elm.org, kind=MessageKind.REMINDER, dedupe_key="k", recipient=PATIENT, body="b",
            expires_at=now + timedelta(days=1), next_attempt_at=now + timedelta(hours=8),
            last_error=f"{HELD_FOR_THE_NIGHT} where this person is.",
        )  # fmt: skip
    given = rules() if act == "change" else {"post": "yes"}
    assert sign_in(elm.staff["owner"]).post(f"{RULES}{made.pk}/{act}/", given).status_code == 302
    with org_scope(elm.id):
        found = Message.objects.get(pk=held.pk)
    assert (found.state, found.next_attempt_at <= timezone.now()) == (MessageState.QUEUED, True)
