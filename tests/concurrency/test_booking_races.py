"""Callers who want the same time at the same instant; each promise with its control."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, time
from functools import partial
from itertools import pairwise
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest

from bookings import booking
from bookings.booking import Booked, BookingRefused, Wish, book, cancel
from bookings.models import Appointment
from bookings.plan import ClinicPlan
from bookings.states import AppointmentSource, AppointmentStatus
from messaging.contacts import upsert_contact
from messaging.models import Contact, Message
from tests.clinics import Clinic
from tests.concurrency.conftest import Without
from tests.concurrency.racing import LONGEST_SECONDS, race
from tests.guards import NO_OVERLAP
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

CALLERS = 12


def wish(clinic: Clinic, caller: int = 0, **changes: Any) -> Wish:
    fields: dict[str, Any] = {
        "day": clinic.next_weekday(),
        "at": time(10),
        "source": AppointmentSource.VOICE,
        "patient_name": f"Patient {caller}",
        "phone": f"+1415555{caller:04d}",
    }
    return Wish(**{**fields, **changes})


def ask(plan: ClinicPlan, wished: Wish) -> Booked:
    with org_scope(plan.key.org_id):
        return book(plan, wished)


def fight(clinic: Clinic, wishes: list[Wish]) -> tuple[list[Booked], list[BookingRefused]]:
    plan = clinic.plan()
    booked, refused = race([partial(ask, plan, wished) for wished in wishes], BookingRefused)
    return booked, [refusal for refusal in refused if isinstance(refusal, BookingRefused)]


def overlaps(clinic: Clinic) -> int:
    """How many pairs of live visits of one provider overlap."""
    with org_scope(clinic.id):
        visits = list(Appointment.objects.order_by("provider", "starts_at"))
    return sum(
        first.provider_id == second.provider_id and first.blocked_until > second.blocked_from
        for first, second in pairwise(visits)
    )


def starts(clinic: Clinic) -> Counter[tuple[UUID, datetime]]:
    with org_scope(clinic.id):
        return Counter((visit.provider_id, visit.starts_at) for visit in Appointment.objects.all())


def same_time(clinic: Clinic) -> list[Wish]:
    return [wish(clinic, caller, provider="provider-0") for caller in range(CALLERS)]


def overlapping_times(clinic: Clinic) -> list[Wish]:
    """Five-minute marks from ten o'clock on, for visits of half an hour."""
    marks = [time(10, 5 * mark) for mark in range(CALLERS)]
    return [wish(clinic, caller, at=at, provider="provider-0") for caller, at in enumerate(marks)]


def test_one_of_many_callers_gets_a_time_and_the_others_are_offered_others(clinic: Clinic) -> None:
    booked, refused = fight(clinic, same_time(clinic))
    assert (len(booked), len(refused)) == (1, CALLERS - 1)
    assert {refusal.code for refusal in refused} == {"slot_unavailable"}
    assert all(refusal.alternatives for refusal in refused)
    assert list(starts(clinic).values()) == [1]


def test_without_the_constraint_callers_share_a_time(clinic: Clinic, without: Without) -> None:
    with without(NO_OVERLAP):
        booked, _ = fight(clinic, same_time(clinic))
        assert len(booked) > 1
        assert max(starts(clinic).values()) > 1


def test_visits_booked_at_overlapping_times_never_overlap(clinic: Clinic) -> None:
    booked, refused = fight(clinic, overlapping_times(clinic))
    assert booked
    assert len(booked) + len(refused) == CALLERS
    assert all(refusal.alternatives for refusal in refused)
    assert overlaps(clinic) == 0


def test_without_the_constraint_visits_overlap(clinic: Clinic, without: Without) -> None:
    with without(NO_OVERLAP):
        fight(clinic, overlapping_times(clinic))
        assert overlaps(clinic) > 0


def test_callers_who_take_anybody_get_one_free_provider_each(clinic: Clinic) -> None:
    booked, refused = fight(clinic, [wish(clinic, caller) for caller in range(CALLERS)])
    assert len(booked) == len(clinic.providers)
    assert {one.provider_id for one in booked} == {provider.pk for provider in clinic.providers}
    assert len(refused) == CALLERS - len(clinic.providers)


def test_without_the_constraint_one_provider_gets_several_callers(clinic: Clinic, without: Without) -> None:
    with without(NO_OVERLAP):
        fight(clinic, [wish(clinic, caller) for caller in range(CALLERS)])
        assert max(starts(clinic).values()) > 1


def test_callers_who_fight_for_one_time_after_another_never_deadlock(clinic: Clinic) -> None:
    for mark in range(8):
        at = time(9 + mark // 2, 30 * (mark % 2))
        wishes = [wish(clinic, mark * CALLERS + caller, at=at) for caller in range(CALLERS)]
        booked, _ = fight(clinic, wishes)
        assert len(booked) == len(clinic.providers)


def test_one_wish_at_the_same_instant_is_one_visit_and_one_text(clinic: Clinic) -> None:
    booked, _ = fight(clinic, [wish(clinic)] * CALLERS)
    assert len({one.appointment_id for one in booked}) == 1
    assert [one.already_booked for one in booked].count(False) == 1
    with org_scope(clinic.id):
        assert Message.objects.count() == 1


def test_one_wish_is_several_visits_without_constraint_and_lock(
    clinic: Clinic, without: Without, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either of the two is enough; without both, twins do not see each other."""

    def unlocked(org_id: UUID, *, phone: str | None, **_: Any) -> UUID:
        return Contact.objects.get(org_id=org_id, phone=phone).pk

    with org_scope(clinic.id):
        upsert_contact(clinic.id, phone=wish(clinic).phone)
    monkeypatch.setattr(booking, "upsert_contact", unlocked)
    with without(NO_OVERLAP):
        booked, _ = fight(clinic, [wish(clinic)] * CALLERS)
        assert len({one.appointment_id for one in booked}) > 1


def visit(clinic: Clinic) -> Appointment:
    ask(clinic.plan(), wish(clinic))
    with org_scope(clinic.id):
        return Appointment.objects.select_related("contact").get()


def test_a_visit_cancelled_by_several_at_once_is_cancelled_once(clinic: Clinic) -> None:
    plan, cancelled = clinic.plan(), visit(clinic)

    def give_up() -> bool:
        with org_scope(clinic.id):
            return cancel(plan, cancelled, reason="The patient asked.")

    done, _ = race([give_up] * CALLERS)
    assert done.count(True) == 1


def test_a_check_before_the_cancellation_lets_several_through(clinic: Clinic) -> None:
    cancelled = visit(clinic)
    all_looked = Barrier(CALLERS)

    def look_then_give_up() -> bool:
        with org_scope(clinic.id):
            status = Appointment.objects.get(pk=cancelled.pk).status
            all_looked.wait(LONGEST_SECONDS)
            if status != AppointmentStatus.CONFIRMED:
                return False
            Appointment.objects.filter(pk=cancelled.pk).update(status=AppointmentStatus.CANCELLED)
            return True

    done, _ = race([look_then_give_up] * CALLERS)
    assert done.count(True) == CALLERS


def test_a_time_that_is_given_up_goes_to_one_of_those_who_wait(clinic: Clinic) -> None:
    plan, given_up = clinic.plan(), visit(clinic)
    named = {"provider": str(given_up.provider_id)}

    def give_up() -> bool:
        with org_scope(clinic.id):
            return cancel(plan, given_up, reason="The patient asked.")

    def want(caller: int) -> bool:
        return bool(ask(plan, wish(clinic, caller, **named)))

    contenders: list[Callable[[], bool]] = [give_up, *(partial(want, caller) for caller in range(1, CALLERS))]
    race(contenders, BookingRefused)
    # Whoever comes afterwards finds it either free or taken by one of them.
    race([partial(want, CALLERS)], BookingRefused)
    with org_scope(clinic.id):
        live = Appointment.objects.filter(
            provider_id=given_up.provider_id, status=AppointmentStatus.CONFIRMED
        )
        assert live.count() == 1
