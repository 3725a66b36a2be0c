"""A live code points at one visit of a clinic: when one is drawn that is in use, another is drawn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import IntegrityError

from bookings import entering
from bookings.booking import cancel, until_code_is_free
from tests.bookings.clinic_day import ClinicDay
from tests.clinics import Clinic
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db


def these(monkeypatch: pytest.MonkeyPatch, *codes: str) -> None:
    """The next codes that are drawn, the last of them for ever."""
    drawn: Iterator[str] = iter(codes)
    monkeypatch.setattr(entering, "new_confirmation_code", lambda: next(drawn, codes[-1]))


def test_when_the_code_drawn_is_in_use_another_is_drawn(
    day: ClinicDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    these(monkeypatch, "BCGHJK")
    assert day.book("10:00").confirmation_code == "BCGHJK"
    these(monkeypatch, "BCGHJK", "BCGHJK", "KTMBRX")
    booked = until_code_is_free(lambda: day.book("11:00"))
    assert booked.confirmation_code == "KTMBRX"
    assert day.written() == (2, 2, 0)


def test_a_code_in_use_is_refused_by_the_database(day: ClinicDay, monkeypatch: pytest.MonkeyPatch) -> None:
    these(monkeypatch, "BCGHJK")
    day.book("10:00")
    with pytest.raises(IntegrityError, match=entering.CODE_GUARD):
        day.book("11:00")


def test_another_clinics_code_is_not_in_use_here(
    day: ClinicDay, oak: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    these(monkeypatch, "BCGHJK")
    assert ClinicDay(oak).book().confirmation_code == day.book().confirmation_code


def test_a_cancelled_visits_code_may_be_given_again(day: ClinicDay, monkeypatch: pytest.MonkeyPatch) -> None:
    these(monkeypatch, "BCGHJK")
    booked = day.book("10:00")
    with org_scope(day.clinic.id):
        cancel(day.clinic.plan(), day.visit(booked), reason="")
    assert day.book("11:00").confirmation_code == "BCGHJK"


def test_other_faults_are_not_repeated() -> None:
    tries = []

    def fails() -> None:
        tries.append(1)
        raise IntegrityError("visit_ends_after_it_starts")

    with pytest.raises(IntegrityError):
        until_code_is_free(fails)
    assert len(tries) == 1


def test_codes_that_never_come_free_are_not_tried_for_ever() -> None:
    tries = []

    def clashes() -> None:
        tries.append(1)
        raise IntegrityError('duplicate key value violates unique constraint "one_live_code_a_clinic"')

    with pytest.raises(IntegrityError):
        until_code_is_free(clashes)
    assert len(tries) == entering.MOST_TIMES
