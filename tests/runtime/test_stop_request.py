from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from voxanne.runtime.stop_request import SIGNALS, StopRequest, StopRequested


@pytest.fixture
def handlers_put_back() -> Iterator[None]:
    before = {signum: signal.getsignal(signum) for signum in SIGNALS}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.usefixtures("handlers_put_back")
@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_ends_the_next_wait_and_a_second_one_changes_nothing(signum: signal.Signals) -> None:
    stop = StopRequest()
    stop.install()
    stop.pause(0)
    for _ in range(2):
        os.kill(os.getpid(), signum)
    began = time.monotonic()
    with pytest.raises(StopRequested):
        stop.pause(30)
    assert time.monotonic() - began < 2


def test_the_end_of_the_make_that_started_us_asks_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKELEVEL", "1")
    stop = StopRequest()
    assert not stop.asked()
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert stop.asked()


def test_started_by_hand_we_outlive_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAKELEVEL", raising=False)
    stop = StopRequest()
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert not stop.asked()
