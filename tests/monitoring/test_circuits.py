"""The rules, on the real Redis script and on the one process's own, under one made-up clock."""

from __future__ import annotations

import threading
import uuid
from multiprocessing import get_context
from multiprocessing.queues import Queue
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitoring import redis_link
from monitoring.circuits import CircuitReport, Circuits, CircuitState, Level, Transition, new_token
from monitoring.circuits_in_memory import CircuitsInMemory
from monitoring.circuits_in_redis import CircuitsInRedis

OPENED_CLINIC = (Transition(Level.CLINIC, CircuitState.OPEN),)
ELM, OAK, ASH, YEW = "elm", "oak", "ash", "yew"
NO_PROBE = "a call that probes nothing"


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class World:
    """One service, asked and told in short."""

    def __init__(self, circuits: Circuits, clock: Clock) -> None:
        self.circuits, self.clock = circuits, clock
        self.service = f"service-{uuid.uuid4().hex}"

    def may(self, clinic: str = ELM) -> bool:
        return self.circuits.ask(self.service, clinic, new_token()).allowed

    def fail(
        self, clinic: str = ELM, subject: str | None = None, token: str = NO_PROBE
    ) -> tuple[Transition, ...]:
        return self.circuits.failed(self.service, clinic, token, subject or new_token()).transitions

    def succeed(self, clinic: str = ELM, token: str = NO_PROBE) -> tuple[Transition, ...]:
        return self.circuits.succeeded(self.service, clinic, token).transitions

    def open(self, clinic: str = ELM) -> None:
        for _ in range(3):
            self.fail(clinic)

    def report(self, clinic: str | None) -> CircuitReport | None:
        return next((one for one in self.circuits.report(self.service) if one.clinic == clinic), None)


@pytest.fixture(params=["redis", "memory"])
def world(request: pytest.FixtureRequest) -> World:
    clock = Clock()
    return World(CircuitsInRedis(clock=clock) if request.param == "redis" else CircuitsInMemory(clock), clock)


def test_a_service_nobody_called_is_closed(world: World) -> None:
    assert world.may()
    assert world.report(None) == CircuitReport(world.service, None, CircuitState.CLOSED)


def test_the_third_failure_within_a_minute_opens(world: World) -> None:
    assert world.fail() == ()
    world.clock.now += 29
    assert world.fail() == ()
    assert world.may()
    world.clock.now += 29
    assert world.fail() == OPENED_CLINIC
    assert not world.may()


def test_failures_spread_over_more_than_a_minute_do_not_open(world: World) -> None:
    for _ in range(10):
        assert world.fail() == ()
        world.clock.now += 31
    assert world.may()


def test_a_success_between_forgets_the_failures(world: World) -> None:
    world.fail()
    world.fail()
    world.succeed()
    assert world.fail() == world.fail() == ()
    assert world.may()


def test_a_clinics_open_circuit_leaves_other_clinics_alone(world: World) -> None:
    world.open(ELM)
    assert not world.may(ELM)
    assert world.may(OAK)


def test_one_message_alone_never_opens_a_circuit(world: World) -> None:
    for _ in range(20):
        assert world.fail(ELM, subject="message-7") == ()
    assert world.may(ELM)


def test_three_clinics_failing_open_the_service_for_all(world: World) -> None:
    assert world.fail(ELM) == world.fail(OAK) == ()
    assert world.fail(ASH) == (Transition(Level.SERVICE, CircuitState.OPEN),)
    assert not world.may(YEW)


def test_two_clinics_failing_often_do_not_open_the_service(world: World) -> None:
    world.open(ELM)
    world.open(OAK)
    assert world.may(ASH)


def test_three_clinics_failing_within_more_than_a_minute_do_not_open_the_service(world: World) -> None:
    for clinic in (ELM, OAK, ASH, YEW):
        assert world.fail(clinic) == ()
        world.clock.now += 31
    assert world.may(YEW)


def test_a_success_anywhere_shows_that_the_service_lives(world: World) -> None:
    world.fail(ELM)
    world.fail(OAK)
    world.succeed(YEW)
    assert world.fail(ASH) == ()
    assert world.may(YEW)


def test_after_the_cool_down_exactly_one_probes(world: World) -> None:
    world.open()
    world.clock.now += 29.9
    assert not world.may()
    world.clock.now += 0.2
    first = world.circuits.ask(world.service, ELM, "probe")
    assert first.allowed
    assert first.doubtful
    assert first.transitions == (Transition(Level.CLINIC, CircuitState.HALF_OPEN),)
    assert [world.may() for _ in range(5)] == [False] * 5


def test_a_probe_that_succeeds_closes(world: World) -> None:
    world.open()
    world.clock.now += 31
    world.circuits.ask(world.service, ELM, "probe")
    assert world.succeed(ELM, "probe") == (Transition(Level.CLINIC, CircuitState.CLOSED),)
    assert [world.may() for _ in range(5)] == [True] * 5
    # The failures of before are forgotten with it.
    assert world.fail() == world.fail() == ()


def test_a_probe_that_fails_opens_for_another_cool_down(world: World) -> None:
    world.open()
    world.clock.now += 31
    world.circuits.ask(world.service, ELM, "probe")
    assert world.fail(ELM, token="probe") == OPENED_CLINIC
    world.clock.now += 29
    assert not world.may()
    world.clock.now += 2
    assert world.may()


def test_only_the_probe_itself_ends_the_probing(world: World) -> None:
    world.open()
    world.clock.now += 31
    world.circuits.ask(world.service, ELM, "probe")
    assert world.succeed(ELM, "a call from before") == ()
    assert world.fail(ELM, token="another from before") == ()
    assert not world.may()


def test_a_probe_that_never_came_back_is_replaced(world: World) -> None:
    world.open()
    world.clock.now += 31
    world.circuits.ask(world.service, ELM, "lost")
    world.clock.now += 31
    assert world.circuits.ask(world.service, ELM, "second").allowed
    assert world.succeed(ELM, "lost") == ()
    assert world.succeed(ELM, "second") == (Transition(Level.CLINIC, CircuitState.CLOSED),)


def test_a_probe_given_up_makes_way_at_once(world: World) -> None:
    world.open()
    world.clock.now += 31
    world.circuits.ask(world.service, ELM, "probe")
    world.circuits.abandoned(world.service, ELM, "probe")
    assert world.may()


def test_failures_of_calls_under_way_do_not_lengthen_the_cool_down(world: World) -> None:
    world.open()
    world.clock.now += 20
    assert world.fail() == ()
    world.clock.now += 11
    assert world.may()


def test_one_probe_serves_the_service_and_the_clinic(world: World) -> None:
    for clinic in (ELM, OAK, ASH):
        world.open(clinic)
    world.clock.now += 31
    assert world.circuits.ask(world.service, ELM, "probe").allowed
    assert not world.may(OAK)
    assert set(world.succeed(ELM, "probe")) == {
        Transition(Level.SERVICE, CircuitState.CLOSED),
        Transition(Level.CLINIC, CircuitState.CLOSED),
    }
    assert world.may(YEW)


def test_a_clinic_still_cooling_down_does_not_use_up_the_services_probe(world: World) -> None:
    for clinic in (ELM, OAK, ASH):
        world.fail(clinic)
    world.clock.now += 25
    # The service is open already, the calls under way fail on: the clinic's own circuit opens later.
    world.fail(ELM)
    world.fail(ELM)
    world.clock.now += 6
    assert not world.may(ELM)
    assert world.may(YEW)


def test_what_to_wait_for_is_told(world: World) -> None:
    world.open()
    world.clock.now += 10
    assert world.circuits.ask(world.service, ELM, "t").retry_after == pytest.approx(20, abs=0.01)
    world.clock.now += 21
    world.circuits.ask(world.service, ELM, "probe")
    assert world.circuits.ask(world.service, ELM, "t").retry_after == pytest.approx(2, abs=0.01)


def test_the_report_says_when_it_opened_and_when_the_next_probe_is(world: World) -> None:
    opened_at = world.clock.now
    world.open()
    report = world.report(ELM)
    assert report is not None
    assert (report.state, report.failures) == (CircuitState.OPEN, 3)
    assert report.opened_at == pytest.approx(opened_at)
    assert report.next_probe_at == pytest.approx(opened_at + 30)
    service = world.report(None)
    assert service is not None
    assert (service.state, service.failures) == (CircuitState.CLOSED, 1)


def test_a_clinic_that_is_well_again_leaves_the_report(world: World) -> None:
    world.open()
    world.clock.now += 31
    world.circuits.ask(world.service, ELM, "probe")
    world.succeed(ELM, "probe")
    assert world.report(ELM) is None
    assert world.report(None) is not None


def test_a_healthy_call_needs_no_second_question(world: World) -> None:
    assert world.circuits.ask(world.service, ELM, "t").doubtful is False
    world.fail()
    assert world.circuits.ask(world.service, ELM, "t").doubtful is True


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ok", "fail", "abandon", "wait"]),
        st.sampled_from([ELM, OAK, ASH]),
        st.integers(min_value=0, max_value=3),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_redis_and_memory_rule_alike_whatever_happens(steps: list[tuple[str, str, int]]) -> None:
    clock = Clock()
    service = f"service-{uuid.uuid4().hex}"
    both: list[Any] = [CircuitsInRedis(clock=clock), CircuitsInMemory(clock)]
    for index, (step, clinic, which) in enumerate(steps):
        if step == "wait":
            clock.now += (1.0, 7.5, 29.0, 61.0)[which]
            continue
        token, subject = f"token-{which}", f"subject-{which}"
        rulings = []
        for circuits in both:
            match step:
                case "ask":
                    ruling = circuits.ask(service, clinic, token)
                case "ok":
                    ruling = circuits.succeeded(service, clinic, token)
                case "fail":
                    ruling = circuits.failed(service, clinic, token, subject)
                case _:
                    ruling = circuits.abandoned(service, clinic, token)
            rulings.append((ruling.allowed, round(ruling.retry_after, 3), ruling.transitions))
        assert rulings[0] == rulings[1], (index, step, clinic)
        states = [{(one.clinic, one.state) for one in circuits.report(service)} for circuits in both]
        assert states[0] == states[1], (index, step, clinic)


def ask_often(service: str, times: int, found: Queue[int]) -> None:
    """In a process of its own: how many of so many questions were granted."""
    import django

    django.setup()
    circuits = CircuitsInRedis()
    found.put(sum(circuits.ask(service, ELM, new_token()).allowed for _ in range(times)))


def test_eight_threads_and_two_processes_get_one_probe() -> None:
    clock = Clock()
    service = f"service-{uuid.uuid4().hex}"
    past = CircuitsInRedis(clock=clock)
    # Opened long ago by Redis's clock: the cool-down is over.
    for _ in range(3):
        past.failed(service, ELM, "t", new_token())
    # No clock of ours from here on: the made-up one lies ahead of Redis's, so the cool-down is written back.
    redis_link.link().call(lambda redis: redis.hset(_clinic_key(service), "opened_at", "1000"))
    context = get_context("spawn")
    found: Queue[int] = context.Queue()
    processes = [context.Process(target=ask_often, args=(service, 50, found)) for _ in range(2)]
    for process in processes:
        process.start()
    granted: list[bool] = []
    circuits = CircuitsInRedis()

    def ask() -> None:
        for _ in range(25):
            granted.append(circuits.ask(service, ELM, new_token()).allowed)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elsewhere = [found.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(30)
    assert sum(granted) + sum(elsewhere) == 1


def test_eight_threads_failing_at_once_make_one_transition() -> None:
    circuits = CircuitsInRedis()
    service = f"service-{uuid.uuid4().hex}"
    made: list[Transition] = []
    gate = threading.Barrier(8)

    def fail() -> None:
        gate.wait()
        made.extend(circuits.failed(service, ELM, "t", new_token()).transitions)

    threads = [threading.Thread(target=fail) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == list(OPENED_CLINIC)


def _clinic_key(service: str) -> str:
    from monitoring.circuits_in_redis import _keys

    return _keys(service, ELM)[2]
