"""Rows that prepared statements read and write are the rows the ORM knows."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from bookings.models import CalendarPush
from messaging.models import Message
from telephony.models import CallCommand
from tests.clinics import Clinic
from tests.durable.kinds import fresh
from tests.tenancy.rows import make_row
from voxanne.durable import registry, rows
from voxanne.durable.models import DurableWork
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db
CLOSE = timedelta(seconds=1)


def columns(row: DurableWork) -> dict[str, object]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


@pytest.mark.parametrize("model", [kind.model for kind in registry.all_kinds()])
def test_a_taken_row_is_the_row_that_the_orm_reads(elm: Clinic, model: type[DurableWork]) -> None:
    now = timezone.now()
    with org_scope(elm.id):
        made = make_row(model, elm.org, state=model.lifecycle.waiting, next_attempt_at=now)
        taken = rows.take_one(model, elm.id, made.pk, token=uuid4(), now=now, until=now + CLOSE)
    assert taken is not None
    assert columns(taken) == columns(fresh(made))
    assert not taken._state.adding


def test_json_is_read_once_whatever_it_holds(elm: Clinic) -> None:
    now = timezone.now()
    for body in ({"type": "end-call"}, "a string", ["a", 1], None):
        with org_scope(elm.id):
            made = make_row(CallCommand, elm.org, state="queued", next_attempt_at=now, body=body or {})
            taken = rows.take_one(CallCommand, elm.id, made.pk, token=uuid4(), now=now, until=now + CLOSE)
        assert taken is not None
        assert taken.body == (body or {})


def test_a_swap_names_the_state_and_the_holder_it_expects(elm: Clinic, oak: Clinic) -> None:
    now, token = timezone.now(), uuid4()
    with org_scope(elm.id):
        made = make_row(CalendarPush, elm.org, state="queued", next_attempt_at=now)
        rows.take_one(CalendarPush, elm.id, made.pk, token=token, now=now, until=now + CLOSE)

        def swapped(**expected: object) -> bool:
            given = {"states": ("pushing",), "token": token, "columns": {"event_id": "e"}, **expected}
            return rows.swap(CalendarPush, elm.id, made.pk, adds_attempt=True, **given)  # type: ignore[arg-type]

        assert not swapped(states=("queued",))
        assert not swapped(token=uuid4())
        assert swapped()
    assert (fresh(made).event_id, fresh(made).attempts) == ("e", 1)
    with org_scope(oak.id):
        assert not rows.swap(
            CalendarPush, oak.id, made.pk, states=("pushing",), columns={"event_id": "x"}, adds_attempt=False
        )


def test_the_indexes_of_due_rows_can_serve_the_statement_that_takes_them(elm: Clinic) -> None:
    """Their conditions are on literal states, which a parameter would hide from the planner."""
    text = rows._take(Message, "true", ("priority", "next_attempt_at")).sql
    assert "state = 'queued'" in text
