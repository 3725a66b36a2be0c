"""A missed caller's text that never came: the desk is told to ring back, whoever found out and however."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from messaging.fates.receipts import Receipt, apply_receipt
from messaging.models import Message, StaffTask
from messaging.providers.twilio.codes import spoken_reason
from messaging.sending.delivery import SMS_DELIVERY
from messaging.staff_tasks import acknowledge, tell_staff
from messaging.states import MessageKind, TaskKind
from tests.messaging.desk import PATIENT, Desk, later
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db
LOST = "Ring back: nobody took a call, and the text to the caller did not arrive. "


def missed(desk: Desk, **more: Any) -> Message:
    """A missed call's text, with the task that counts on it."""
    about = f"missed:{uuid4()}"
    with org_scope(desk.clinic.id):
        tell_staff(
            desk.clinic.id, kind=TaskKind.MISSED_CALL, text="A text is on its way.", dedupe_key=about, about=about,
            from_number=PATIENT, callback_number=PATIENT,
        )  # fmt: skip
    return desk.write("Sorry we missed your call.", kind=MessageKind.MISSED_CALL, about=about, **more)


def tasks(desk: Desk) -> list[StaffTask]:
    with org_scope(desk.clinic.id):
        return list(StaffTask.objects.order_by("created_at"))


def refuse(desk: Desk, code: int) -> None:
    desk.sandbox.control(
        "/faults", {"service": "twilio", "kind": "refused_permanent", "code": code, "count": 1}
    )


def test_the_open_task_learns_that_the_text_was_refused(desk: Desk) -> None:
    text = missed(desk)
    refuse(desk, 21614)
    desk.send(text)
    (task,) = tasks(desk)
    assert (task.urgency, task.text) == ("urgent", LOST + spoken_reason(21614))
    assert task.callback_number == PATIENT


def test_it_learns_from_a_receipt_too(desk: Desk) -> None:
    text = missed(desk)
    desk.send(text)
    (before,) = tasks(desk)
    assert (before.urgency, before.text) == ("normal", "A text is on its way.")
    apply_receipt(desk.clinic.id, text.pk, Receipt(desk.now(text).provider_sid, "undelivered", 30005))
    (task,) = tasks(desk)
    assert task.text == LOST + spoken_reason(30005)


def test_it_learns_that_the_texts_time_passed(desk: Desk) -> None:
    text = missed(desk, expires_at=timezone.now() + timedelta(hours=2))
    with later(3 * 3600):
        desk.send(text)
    (task,) = tasks(desk)
    assert (task.urgency, task.text) == ("urgent", f"{LOST}Its time had passed.")


def test_where_the_task_was_seen_to_there_is_a_new_one(desk: Desk) -> None:
    text = missed(desk)
    with org_scope(desk.clinic.id):
        acknowledge(StaffTask.objects.get(), None)
    refuse(desk, 21614)
    desk.send(text)
    (task,) = (one for one in tasks(desk) if one.acknowledged_at is None)
    assert (task.kind, task.urgency, task.acknowledged_at) == ("missed_call", "urgent", None)
    assert (task.callback_number, task.about) == (PATIENT, text.about)
    assert "did not arrive" in task.text


def test_a_text_that_arrives_after_all_calms_the_task(desk: Desk) -> None:
    text = missed(desk)
    refuse(desk, 20003)
    desk.send(text)
    with org_scope(desk.clinic.id):
        Message.objects.update(state="sent")
        Message.objects.update(state="delivered")
    (task,) = tasks(desk)
    assert (task.urgency, task.text) == (
        "normal",
        "Nobody took a call. The text to the caller arrived after all.",
    )


def test_a_text_that_arrives_changes_no_task(desk: Desk) -> None:
    text = missed(desk)
    desk.send(text)
    apply_receipt(desk.clinic.id, text.pk, Receipt(desk.now(text).provider_sid, "delivered", None))
    (task,) = tasks(desk)
    assert task.text == "A text is on its way."


def test_other_texts_tell_nobody(desk: Desk) -> None:
    text = desk.write()
    refuse(desk, 21614)
    desk.send(text)
    assert tasks(desk) == []


def test_it_is_told_in_the_transaction_that_settles_the_text(desk: Desk) -> None:
    """Rolled back, nobody was told."""
    text = missed(desk)
    claimed = work.claim(SMS_DELIVERY, desk.clinic.id, text.pk)
    assert claimed is not None

    class Undone(Exception):
        pass

    with suppress(Undone), org_scope(desk.clinic.id):
        Message.objects.filter(pk=text.pk).update(state="dead_letter")
        assert "did not arrive" in StaffTask.objects.get().text
        raise Undone
    (task,) = tasks(desk)
    assert task.text == "A text is on its way."
