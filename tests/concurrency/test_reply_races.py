"""Staff, patients and the clinic's own machine at one thread at the same instant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from uuid import UUID

import pytest
from django.utils import timezone

from messaging.conversation import auto_replies, book
from messaging.conversation.models import Conversation, ReplySettings
from messaging.conversation.replies import ReplyRefused, Sent, reply
from messaging.inbound import Received, take_in
from messaging.models import InboundMessage, Message, StaffTask
from tests.clinics import Clinic
from tests.concurrency.racing import race
from voxanne.tenancy.ids import new_id
from voxanne.tenancy.models import AuditEntry
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 8
PATIENT = "+14155550142"


def press(clinic: Clinic, key: UUID, number: str = PATIENT) -> Sent:
    return reply(
        clinic.id,
        number=number,
        typed="Yes.",
        key=key,
        until=timezone.now(),
        answer_shown=None,
        author=clinic.staff["receptionist"],
    )


def text(clinic: Clinic, sid: str, number: str = PATIENT) -> bool:
    return take_in(clinic.id, Received(sid, number, clinic.number, "May I come earlier?"))


def test_a_button_pressed_many_times_at_once_sends_once(clinic: Clinic) -> None:
    for serial in range(ROUNDS):
        key, number = new_id(), f"+1415555{serial:04}"
        results, _ = race([partial(press, clinic, key, number)] * 6)
        assert sum(not sent.again for sent in results) == 1
        assert len({sent.message_id for sent in results}) == 1
    with org_scope(clinic.id):
        assert Message.objects.count() == ROUNDS
        assert AuditEntry.objects.filter(action="conversation.reply").count() == ROUNDS


def test_of_colleagues_who_answer_at_once_one_does_and_the_others_are_told(clinic: Clinic) -> None:
    for serial in range(ROUNDS):
        number = f"+1415555{serial:04}"
        results, refusals = race([partial(press, clinic, new_id(), number) for _ in range(4)], ReplyRefused)
        assert (len(results), len(refusals)) == (1, 3)
        assert all("answered meanwhile" in str(refusal) for refusal in refusals)


def test_texts_that_come_in_at_once_are_all_counted(clinic: Clinic) -> None:
    for serial in range(ROUNDS):
        number = f"+1415555{serial:04}"
        race([partial(text, clinic, f"SM{serial}-{at}", number) for at in range(6)])
    with org_scope(clinic.id):
        assert set(Conversation.objects.values_list("unread", flat=True)) == {6}
        assert Conversation.objects.count() == ROUNDS


def test_a_text_that_comes_in_while_somebody_answers_is_never_lost_sight_of(clinic: Clinic) -> None:
    """Whatever is not open for a person any more had been there when the answer was counted."""
    for serial in range(ROUNDS):
        number = f"+1415555{serial:04}"
        text(clinic, f"SM{serial}-first", number)
        seen = timezone.now()
        contenders: list[Callable[[], object]] = [
            partial(_answer_up_to, clinic, number, seen),
            *(partial(text, clinic, f"SM{serial}-{at}", number) for at in range(4)),
        ]
        race(contenders)
        with org_scope(clinic.id):
            row = Conversation.objects.get(number=number)
            later = InboundMessage.objects.filter(sender=number, created_at__gt=seen).order_by("created_at")
            assert row.unread == later.count() == 4
            assert row.waiting_since is not None
            waiting = StaffTask.objects.get(from_number=number, acknowledged_at=None)
            assert waiting.dedupe_key in {f"text:{text.provider_sid}" for text in later}
            assert waiting.texts in (4, 5), "with the first, where that was not seen to before"


def _answer_up_to(clinic: Clinic, number: str, seen: datetime) -> None:
    with org_scope(clinic.id):
        book.answered(book.begun(clinic.id, number), seen, clinic.staff["receptionist"])


def test_of_many_phones_at_once_so_many_are_answered_an_hour(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto_replies, "is_closed", lambda *_: True)
    monkeypatch.setattr(book, "MOST_TURNS_AN_HOUR", 3)
    with org_scope(clinic.id):
        ReplySettings.objects.create(org=clinic.org, auto_reply=True)
    race([partial(text, clinic, f"SM{serial}", f"+1415555{serial:04}") for serial in range(8)])
    with org_scope(clinic.id):
        assert Message.objects.filter(kind="auto_reply").count() == 3


def test_texts_at_once_get_one_automatic_answer(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto_replies, "is_closed", lambda *_: True)
    with org_scope(clinic.id):
        ReplySettings.objects.create(org=clinic.org, auto_reply=True)
    for serial in range(ROUNDS):
        race([partial(text, clinic, f"SM{serial}-{at}", f"+1415555{serial:04}") for at in range(6)])
    with org_scope(clinic.id):
        assert Message.objects.filter(kind="auto_reply").count() == ROUNDS
