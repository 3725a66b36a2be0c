"""A sender's pace on its page: the figure in force, and one of the clinic's own."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from messaging import outbox
from messaging.models import Message, SenderAccount
from messaging.sending.pace import IN_LINE
from messaging.states import MessageKind
from tests.clinics import Clinic
from tests.staff.conftest import SignIn
from voxanne.tenancy.models import User
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db


@pytest.fixture
def sender(elm: Clinic) -> SenderAccount:
    with org_scope(elm.id):
        SenderAccount.objects.update(segments_per_second=None)
        found: SenderAccount = SenderAccount.objects.get()
    return found


def page_of(sender: SenderAccount) -> str:
    return f"/admin/messaging/senderaccount/{sender.pk}/change/"


@pytest.fixture
def operating(sign_in: SignIn, operator: User) -> Client:
    return sign_in(operator)


def in_line(clinic: Clinic) -> Message:
    with org_scope(clinic.id):
        outbox.enqueue(
            org_id=clinic.id, kind=MessageKind.CONFIRMATION, recipient="+14155550142", body="See you.",
            dedupe_key="in-line", expires_at=timezone.now() + timedelta(days=1),
        )  # fmt: skip
        place = timezone.now() + timedelta(hours=2)
        Message.objects.filter(dedupe_key="in-line").update(
            slot_at=place, next_attempt_at=place, last_error=IN_LINE
        )
        found: Message = Message.objects.get(dedupe_key="in-line")
    return found


def posted(sender: SenderAccount, **more: str) -> dict[str, str]:
    return {"number": sender.number, "account_sid": "", "api_key": "", "messaging_service_sid": "", **more}


@pytest.mark.parametrize("role", ["manager", "viewer"])
def test_the_pace_in_force_is_told_in_words(
    elm: Clinic, sender: SenderAccount, sign_in: SignIn, role: str
) -> None:
    page = sign_in(elm.staff[role]).get(page_of(sender)).content.decode()
    assert "At most 1 segment a second, as usual for this kind of number" in page


def test_a_clinics_own_figure_lets_those_in_line_go_sooner(
    elm: Clinic, sender: SenderAccount, operating: Client
) -> None:
    message = in_line(elm)
    answer = operating.post(page_of(sender), posted(sender, segments_per_second="4"))
    assert answer.status_code == 302, answer.content.decode()[:3000]
    with org_scope(elm.id):
        assert SenderAccount.objects.get().segments_per_second == 4
        assert Message.objects.get(pk=message.pk).next_attempt_at <= timezone.now()
    assert "At most 4 segments a second, as you entered" in operating.get(page_of(sender)).content.decode()


@pytest.mark.parametrize("figure", ["0", "-1", "1001", "fast"])
def test_a_figure_that_no_number_has_is_refused(
    elm: Clinic, sender: SenderAccount, operating: Client, figure: str
) -> None:
    answer = operating.post(page_of(sender), posted(sender, segments_per_second=figure))
    assert answer.status_code == 200
    with org_scope(elm.id):
        assert SenderAccount.objects.get().segments_per_second is None


def test_a_text_in_line_says_when_its_turn_comes(elm: Clinic, sign_in: SignIn) -> None:
    message = in_line(elm)
    page = (
        sign_in(elm.staff["manager"]).get(f"/admin/messaging/message/{message.pk}/change/").content.decode()
    )
    assert "Its turn to be sent" in page
    assert message.slot_at is not None
    assert f"{message.slot_at.astimezone(elm.org.zone):%H:%M}" in page
