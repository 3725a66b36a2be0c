"""One number, claimed by two clinics at the same instant: as the number patients dial, and as a sender."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import IntegrityError, connections

from messaging.models import SenderAccount
from telephony.models import PhoneNumber
from tests.clinics import Clinic, make_clinic
from voxanne.tenancy.scope import org_scope, platform_scope

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

NUMBER = "+14155567100"
# How long the first claim stays open for the second one to overlook it.
OPEN_SECONDS = 0.6


@pytest.fixture
def other(clinic: Clinic) -> Clinic:
    with platform_scope("test data"):
        return make_clinic(f"{clinic.org.slug}-b", timezone="Europe/London", country="GB")


@contextmanager
def without_the_lock() -> Iterator[None]:
    """The database's check as it would be if two claims could be made side by side."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef('refuse_number_of_another_clinic'::regproc)")
        definition = cursor.fetchone()[0]
        line = next(one for one in definition.splitlines() if "pg_advisory_xact_lock" in one)
        cursor.execute(definition.replace(line, ""))
        try:
            yield
        finally:
            cursor.execute(definition)
    connections["owner"].close()


def claim_side_by_side(first: Clinic, second: Clinic) -> list[str]:
    """What became of the two claims, the second made while the first is not committed yet."""
    claimed, second_done = threading.Event(), threading.Event()
    outcomes = {}

    def dialled() -> None:
        with org_scope(first.id):
            PhoneNumber.objects.create(org=first.org, number=NUMBER)
            claimed.set()
            second_done.wait(OPEN_SECONDS)
        outcomes["dialled"] = "taken"

    def texted_from() -> None:
        assert claimed.wait(10)
        try:
            with org_scope(second.id):
                SenderAccount.objects.update(number=NUMBER)
            outcomes["texted from"] = "taken"
        except IntegrityError:
            outcomes["texted from"] = "refused"
        second_done.set()

    def closing(work: object) -> None:
        try:
            work()  # type: ignore[operator]
        finally:
            connections.close_all()

    threads = [threading.Thread(target=closing, args=(work,)) for work in (dialled, texted_from)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    return [outcomes["dialled"], outcomes["texted from"]]


def test_of_two_clinics_that_claim_a_number_at_once_one_gets_it(clinic: Clinic, other: Clinic) -> None:
    assert claim_side_by_side(clinic, other) == ["taken", "refused"]


def test_control_without_the_lock_both_get_it(clinic: Clinic, other: Clinic) -> None:
    with without_the_lock():
        assert claim_side_by_side(clinic, other) == ["taken", "taken"]
