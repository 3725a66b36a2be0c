"""Whatever happens, in whatever order: a text is on the phone at most once unless a person sent it again, and
each ends in exactly one fate. ``--hypothesis-profile=long`` looks for longer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from messaging.sending.delivery import SMS_DELIVERY
from messaging.states import MessageState
from tests.clinics import Clinic
from tests.messaging.fates import Doubled, Fates
from tests.messaging.pretend_twilio import Exchange, serving
from voxanne.durable.settlement import Settlement

pytestmark = pytest.mark.django_db(transaction=True)

STEPS = 25
EVERYDAY, LONG = 40, 1_000
MOST_OF_A_CONTROL = 300


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with serving() as found:
        yield found


def play(machine: type[Fates], examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            report_multiple_bugs=False,
            # Shrinking such a run takes minutes; its steps are printed as they were.
            phases=[Phase.generate],
        ),
    )


@pytest.mark.parametrize("keeps_bodies", [True, False], ids=["bodies listed", "bodies hidden"])
def test_no_text_is_doubled_or_lost_whatever_happens(
    elm: Clinic, exchange: Exchange, keeps_bodies: bool
) -> None:
    machine = machine_of(elm, exchange, keeps_bodies=keeps_bodies)
    play(machine, LONG if hypothesis_settings.get_current_profile_name() == "long" else EVERYDAY)


# Controls: the same machine finds the fault where a guard is missing.


def test_it_finds_a_text_doubled_where_what_was_lost_is_taken_to_be_waiting(
    elm: Clinic, exchange: Exchange
) -> None:
    looks_nothing_up = replace(SMS_DELIVERY, resolve=lambda message: Settlement(MessageState.QUEUED))
    with pytest.raises(Doubled):
        play(machine_of(elm, exchange, kind=looks_nothing_up), MOST_OF_A_CONTROL)


def test_it_finds_a_text_doubled_where_workers_do_not_mind_their_lease(
    elm: Clinic, exchange: Exchange
) -> None:
    with pytest.raises(Doubled):
        play(machine_of(elm, exchange, minds_its_lease=False), MOST_OF_A_CONTROL)


def machine_of(clinic: Clinic, exchange: Exchange, **more: Any) -> type[Fates]:
    return type("ThisClinicsFates", (Fates,), {"clinic": clinic, "exchange": exchange, **more})
