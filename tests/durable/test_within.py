"""Work that is nothing but rows: it and its completion mark commit together, or not at all."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from bookings.models import CalendarPush, Closure
from bookings.states import PushState
from tests.clinics import Clinic
from tests.durable.kinds import LEASE, fresh, later, push, taken, writing
from tests.tenancy.rows import make_row
from voxanne.durable import work
from voxanne.durable.settlement import Settlement
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db


def closing(clinic: Clinic, *, then_fails: bool = False) -> work.WorkKind[CalendarPush]:
    """A kind whose work is to write one row of the clinic's."""

    def write() -> None:
        make_row(Closure, clinic.org, reason="written within")
        if then_fails:
            raise LookupError("Dana Ruiz")

    return writing(lambda *_: Settlement(PushState.DONE, within=write))


def written(clinic: Clinic) -> int:
    with org_scope(clinic.id):
        return Closure.objects.filter(reason="written within").count()


def test_the_work_and_its_mark_commit_together(elm: Clinic) -> None:
    row = push(elm)
    work.perform(closing(elm), taken(closing(elm)))
    assert fresh(row).state == PushState.DONE
    assert written(elm) == 1


def test_what_fails_leaves_neither_behind_and_is_tried_again(elm: Clinic) -> None:
    row, kind = push(elm), closing(elm, then_fails=True)
    work.perform(kind, taken(kind))
    assert written(elm) == 0
    waiting = fresh(row)
    assert (waiting.state, waiting.attempts, waiting.lost_leases) == (PushState.QUEUED, 1, 1)
    assert "Dana" not in waiting.last_error
    with later(timedelta(minutes=1)):
        work.perform(closing(elm), taken(closing(elm)))
    assert (fresh(row).state, written(elm)) == (PushState.DONE, 1)


def test_a_worker_whose_claim_was_lost_does_no_work(elm: Clinic) -> None:
    push(elm)
    kind = closing(elm)
    late = taken(kind)
    with later(LEASE + timedelta(seconds=1)):
        assert work.release_lost(kind) == 1
        work.perform(kind, taken(kind))
    # The late worker comes back believing that its lease still holds.
    late.row.claimed_until = fresh(late.row).updated_at + timedelta(days=1)
    work.perform(kind, late)
    assert written(elm) == 1


def test_left_to_the_record_a_late_workers_work_is_done_twice(elm: Clinic) -> None:
    """The control: what a try leaves behind is written whether its claim holds or not."""
    push(elm)
    write = partial(make_row, Closure, elm.org, reason="written within")
    kind = writing(lambda *_: Settlement(PushState.DONE, record=write))
    late = taken(kind)
    with later(LEASE + timedelta(seconds=1)):
        work.release_lost(kind)
        work.perform(kind, taken(kind))
    late.row.claimed_until = fresh(late.row).updated_at + timedelta(days=1)
    work.perform(kind, late)
    assert written(elm) == 2
