"""Places in lines: by the same rules in Redis and in a process's own memory."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.sending import lines
from messaging.sending.lines import BURST_SECONDS, SHARE_OF_WAITING, LinesInMemory, LinesInRedis
from monitoring import redis_link
from monitoring.redis_link import RedisAway, RedisLink

NOW = 1_800_000_000.0
LATEST = 1e6


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["in Redis", "in memory"])
def places(request: pytest.FixtureRequest, clock: Clock) -> Any:
    return LinesInRedis(clock) if request.param == "in Redis" else LinesInMemory(clock)


@pytest.fixture
def line() -> str:
    return redis_link.key("pace", uuid.uuid4().hex)


@pytest.fixture
def take(places: Any, line: str) -> Callable[..., float]:
    def taken(seconds: float = 1.0, lane: int = 0, latest: float = LATEST) -> float:
        return float(places.take(line, seconds=seconds, lane=lane, latest=latest))

    return taken


def test_a_few_seconds_worth_goes_at_once_and_the_rest_one_after_another(take: Callable[..., float]) -> None:
    waits = [take() for _ in range(8)]
    at_once = int(BURST_SECONDS) + 1
    assert waits[:at_once] == [0.0] * at_once
    assert waits[at_once:] == pytest.approx([1, 2, 3, 4])


def test_a_longer_text_takes_more_of_the_line(take: Callable[..., float]) -> None:
    take(BURST_SECONDS)
    assert take(2.0) == 0
    assert take(5.0) == pytest.approx(2)
    assert take(1.0) == pytest.approx(7)


def test_a_line_that_stood_still_owes_nothing_and_saves_nothing_up(
    take: Callable[..., float], clock: Clock
) -> None:
    for _ in range(10):
        take()
    clock.now += 3600
    assert [take() for _ in range(5)] == pytest.approx([0, 0, 0, 0, 1])


def test_what_was_asked_for_now_does_not_wait_behind_what_can(take: Callable[..., float]) -> None:
    bulk = [take(lane=2) for _ in range(1000)]
    assert bulk[-1] > 1000
    assert take(lane=0) == 0
    assert take(lane=1) == 0


def test_what_overtakes_pushes_the_others_back(take: Callable[..., float], clock: Clock) -> None:
    for _ in range(10):
        take(lane=0)
    assert take(lane=2) == pytest.approx(10 / SHARE_OF_WAITING - BURST_SECONDS)


def test_what_can_wait_leaves_a_part_of_the_pace_free(take: Callable[..., float]) -> None:
    waits = [take(lane=2) for _ in range(102)]
    assert waits[-1] - waits[-51] == pytest.approx(50 / SHARE_OF_WAITING)


def test_a_place_that_would_come_too_late_is_not_taken(take: Callable[..., float]) -> None:
    for _ in range(10):
        take()
    waits = [take(latest=5.0) for _ in range(3)]
    assert waits == pytest.approx([7, 7, 7])
    assert take() == pytest.approx(7)


def test_lines_do_not_know_of_each_other(places: Any) -> None:
    for _ in range(10):
        places.take("pace:one", seconds=1.0, lane=0, latest=LATEST)
    assert places.take(f"pace:{uuid.uuid4()}", seconds=1.0, lane=0, latest=LATEST) == 0


@given(
    asked=st.lists(
        st.tuples(
            st.floats(0, 5, allow_nan=False),
            st.sampled_from([0.01, 0.1, 1 / 3, 1.0, 2.0, 11.0]),
            st.integers(0, 2),
            st.sampled_from([LATEST, 4.0]),
        ),
        max_size=30,
    )
)
def test_both_give_the_same_places(asked: list[tuple[float, float, int, float]]) -> None:
    clock, line = Clock(), redis_link.key("pace", uuid.uuid4().hex)
    shared, alone = LinesInRedis(clock), LinesInMemory(clock)
    for later, seconds, lane, latest in asked:
        clock.now += later
        in_memory = alone.take(line, seconds=seconds, lane=lane, latest=latest)
        in_redis = shared.take(line, seconds=seconds, lane=lane, latest=latest)
        assert in_redis == pytest.approx(in_memory, abs=1e-3)


def test_many_that_ask_at_once_get_a_place_each(line: str) -> None:
    """By Redis's own clock. A second apart, less what the asking itself takes."""
    shared = LinesInRedis()

    def ask(_: int) -> float:
        return shared.take(line, seconds=100.0, lane=0, latest=LATEST)

    with ThreadPoolExecutor(8) as askers:
        waits = sorted(askers.map(ask, range(40)))
    gaps = [after - before for before, after in pairwise(waits[1:])]
    assert min(gaps) > 50


def test_a_line_that_is_forgotten_begins_anew(line: str) -> None:
    for _ in range(10):
        lines.take_place(line, seconds=60.0, lane=0, latest=LATEST)
    lines.forget(line)
    assert lines.take_place(line, seconds=60.0, lane=0, latest=LATEST) == 0


def test_while_redis_is_away_each_process_counts_alone(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    away = RedisLink("redis://127.0.0.1:1/0")
    monkeypatch.setattr(redis_link, "link", lambda: away)
    with pytest.raises(RedisAway):
        LinesInRedis().take(line, seconds=60.0, lane=0, latest=LATEST)
    waits = [lines.take_place(line, seconds=60.0, lane=0, latest=LATEST) for _ in range(3)]
    assert waits == pytest.approx([0, 57, 117], abs=5)
    lines.forget(line)


def test_a_line_is_not_kept_for_longer_than_it_is_needed(line: str) -> None:
    lines.take_place(line, seconds=90.0, lane=0, latest=LATEST)
    left = redis_link.link().call(lambda client: client.ttl(line))
    assert 90 <= left <= 90 / SHARE_OF_WAITING + 2


def test_memory_holds_no_more_lines_than_it_should(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MOST_IN_MEMORY", 3)
    alone = LinesInMemory(clock)
    for number in range(5):
        alone.take(f"line {number}", seconds=1.0, lane=0, latest=LATEST)
    assert list(alone._lines) == ["line 2", "line 3", "line 4"]
