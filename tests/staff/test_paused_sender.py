"""Pausing and resuming a clinic's texts from its sender's page."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from messaging.models import DeliveryAttempt, Message, SenderAccount
from messaging.sending import pauses
from messaging.undelivered.bulk_acts import BULK_ACT
from tests.clinics import Clinic
from tests.staff.rows import Furnished, dead_letter
from tests.staff.test_dead_letters import YES, reload, told, trail
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope, platform_scope

pytestmark = pytest.mark.django_db

REASON = "The Twilio account was suspended; settle that with Twilio, then send again."
BACKEND = "voxanne.tenancy.permissions.MembershipBackend"


def page(clinic: Clinic, act: str) -> str:
    with org_scope(clinic.id):
        return f"/admin/messaging/senderaccount/{SenderAccount.objects.get().pk}/{act}/"


@pytest.mark.parametrize(
    ("role", "answer"), [("owner", 302), ("manager", 302), ("receptionist", 403), ("viewer", 403)]
)
def test_managers_pause_and_resume_and_nobody_below(
    client: Client, elm: Clinic, role: str, answer: int
) -> None:
    client.force_login(elm.staff[role], backend=BACKEND)
    assert client.post(page(elm, "pause"), {**YES, "reason": "Wrong number"}).status_code == answer
    assert pauses.is_paused(elm.id) is (answer == 302)
    assert client.post(page(elm, "resume"), {**YES, "reason": "Mended"}).status_code == answer
    assert not pauses.is_paused(elm.id)
    reasons = [line.reason for act in ("pause", "resume") for line in trail(f"sender.{act}")]
    assert reasons == (["Wrong number", "Mended"] if answer == 302 else [])


def test_nothing_is_resumed_by_looking(client: Client, elm: Clinic) -> None:
    pauses.pause(elm.id, REASON)
    client.force_login(elm.staff["owner"], backend=BACKEND)
    assert client.get(page(elm, "resume")).status_code == 200
    assert client.post(page(elm, "resume"), YES).status_code == 200, "without a reason it asks again"
    assert pauses.is_paused(elm.id)


def test_another_clinics_sender_cannot_be_resumed(client: Client, elm: Clinic, oak: Clinic) -> None:
    pauses.pause(oak.id, REASON)
    client.force_login(elm.staff["owner"], backend=BACKEND)
    assert client.post(page(oak, "resume"), {**YES, "reason": "Mended"}).status_code == 404
    assert pauses.is_paused(oak.id)


@pytest.mark.parametrize("ticked", [True, False])
def test_resuming_may_send_again_what_the_fault_cost(client: Client, elms: Furnished, ticked: bool) -> None:
    clinic = elms.clinic
    with platform_scope("test data"):
        SenderAccount.objects.update(paused_reason="")
    pauses.pause(clinic.id, REASON)
    with platform_scope("test data"):
        lost, of_the_phone = dead_letter(elms, error_code=30002), dead_letter(elms, error_code=30006)
    client.force_login(clinic.staff["manager"], backend=BACKEND)
    given = {**YES, "reason": "Paid", **({"redrive": "on"} if ticked else {})}
    response = client.post(page(clinic, "resume"), given)
    more = " 1 text given up before is put back step by step, behind all others: see Bulk acts on texts."
    assert told(response) == ["Sending goes on: 0 held back are due now." + more * ticked]
    work_off()
    assert reload(lost).state == ("queued" if ticked else "dead_letter")
    assert reload(of_the_phone).state == "dead_letter"


def test_resuming_sends_again_all_that_a_refusal_without_a_code_cost(client: Client, elms: Furnished) -> None:
    clinic = elms.clinic
    with platform_scope("test data"):
        SenderAccount.objects.update(paused_reason="")
        refused = [refused_with(elms, http_status=401) for _ in range(5)]
        unreachable, in_another_way = (
            refused_with(elms, http_status=None),
            refused_with(elms, http_status=404),
        )
    pauses.pause(clinic.id, REASON)
    client.force_login(clinic.staff["manager"], backend=BACKEND)
    response = client.post(page(clinic, "resume"), {**YES, "reason": "Mended", "redrive": "on"})
    assert "5 texts given up before" in told(response)[0]
    work_off()
    assert {reload(one).state for one in refused} == {"queued"}
    assert {reload(one).state for one in (unreachable, in_another_way)} == {"dead_letter"}


def work_off() -> None:
    """What a worker does of acts on many texts."""
    while (claimed := work.claim_next(BULK_ACT)) is not None:
        work.perform(BULK_ACT, claimed)


def refused_with(elms: Furnished, http_status: int | None) -> Message:
    """A dead letter whose last try had an answer without a code. In a scope."""
    dead = dead_letter(elms, error_code=None)
    now = timezone.now()
    DeliveryAttempt.objects.create(
        org=elms.clinic.org, message=dead, started_at=now, finished_at=now, http_status=http_status
    )
    return dead


def test_the_start_page_says_that_sending_is_paused_and_else_nothing(client: Client, elm: Clinic) -> None:
    client.force_login(elm.staff["receptionist"], backend=BACKEND)
    assert "Paused" not in client.get("/admin/").content.decode()
    pauses.pause(elm.id, REASON)
    assert REASON in client.get("/admin/").content.decode()
