"""Workers and sweepers on many threads, some of which die: every row is worked off, and by one at a time."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from bookings.models import CalendarPush
from bookings.states import PushState
from tests.clinics import Clinic
from tests.durable.kinds import DONE, push, writing
from voxanne.durable import work
from voxanne.durable.settlement import Settlement
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db(transaction=True)

ROWS, WORKERS = 30, 6


class Died(BaseException):
    """A worker's process ended where it stood."""


def on_threads(works: list[Any]) -> list[BaseException]:
    failures: list[BaseException] = []

    def run(one: Any) -> None:
        try:
            one()
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(one,)) for one in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return failures


def test_every_row_is_worked_off_though_workers_die_at_it(elm: Clinic) -> None:
    for _ in range(ROWS):
        push(elm)
    chance = random.Random(7)
    began: Counter[UUID] = Counter()
    in_hand: set[UUID] = set()
    together: list[UUID] = []

    def perform(row: CalendarPush, _: None) -> Settlement:
        began[row.pk] += 1
        if row.pk in in_hand:
            together.append(row.pk)
        in_hand.add(row.pk)
        time.sleep(0.002)  # work takes its time, so that others have the chance to reach for the same row
        in_hand.discard(row.pk)
        if chance.random() < 0.2:
            raise Died
        return DONE

    kind = writing(perform)

    def worker() -> None:
        while undone(elm):
            claimed = work.claim_next(kind)
            if claimed is None:
                continue
            try:
                work.perform(kind, claimed)
            except Died:
                continue

    def sweeper() -> None:
        while undone(elm):
            # Every lease counts as over, save those of rows in somebody's hands.
            if not in_hand:
                work.release_lost(kind, now=timezone.now() + timedelta(minutes=1))
            time.sleep(0.01)

    assert on_threads([worker] * WORKERS + [sweeper]) == []
    with org_scope(elm.id):
        assert set(CalendarPush.objects.values_list("state", flat=True)) == {PushState.DONE}
    assert len(began) == ROWS
    assert sum(began.values()) > ROWS, "some worker died, or the test proves nothing"


def undone(clinic: Clinic) -> bool:
    with org_scope(clinic.id):
        return CalendarPush.objects.filter(state__in=(PushState.QUEUED, PushState.PUSHING)).exists()
