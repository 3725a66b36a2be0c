"""While a caller waits on this machine, what can wait gives way: for a moment, and never for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.clinics import Clinic
from tests.durable.kinds import text, texting
from voxanne.durable import callers, registry, tasks
from voxanne.durable.callers import FOLDER, LAYOUT, Watch, answering, give_way

# Longer than the pause between two callers who follow each other closely.
MOMENT = 0.2


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(callers, "_counter", None)
    monkeypatch.setattr(callers, "_watch", None)
    monkeypatch.setattr(callers, "CROWD", 1)
    return tmp_path / FOLDER


def seconds_of(longest: float) -> float:
    began = time.monotonic()
    give_way(longest)
    return time.monotonic() - began


def test_without_callers_nothing_waits() -> None:
    assert seconds_of(5) < MOMENT


def test_while_a_caller_is_answered_work_waits_no_longer_than_it_may() -> None:
    with answering():
        assert 0.2 <= seconds_of(0.2) < 0.2 + 1
    assert seconds_of(5) < MOMENT


def test_work_goes_on_as_soon_as_the_last_caller_has_an_answer() -> None:
    asked, answered = threading.Event(), threading.Event()

    def serve() -> None:
        with answering(), answering():
            asked.set()
            answered.wait(5)

    serving = threading.Thread(target=serve)
    serving.start()
    asked.wait(5)
    threading.Timer(0.2, answered.set).start()
    assert 0.1 < seconds_of(5) < 3
    serving.join()


def test_a_pause_between_two_callers_is_no_room_for_other_work() -> None:
    begun, over = threading.Event(), threading.Event()

    def call_again_and_again() -> None:
        while not over.is_set():
            with answering():
                begun.set()
                time.sleep(0.002)
            time.sleep(0.002)

    calling = threading.Thread(target=call_again_and_again)
    calling.start()
    begun.wait(5)
    try:
        assert seconds_of(0.5) >= 0.5
    finally:
        over.set()
        calling.join()


def test_fewer_callers_than_a_crowd_leave_processors_to_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "CROWD", 3)
    with answering(), answering():
        assert seconds_of(5) < MOMENT
        with answering():
            assert seconds_of(0.2) >= 0.2


def test_many_workers_give_way_together_and_go_on_together() -> None:
    waited: list[float] = []
    with answering():
        threads = [threading.Thread(target=lambda: waited.append(seconds_of(0.3))) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert len(waited) == 16
    assert max(waited) < 0.3 + 1


def test_work_that_gives_no_way_does_not_look() -> None:
    with answering():
        assert seconds_of(0) < MOMENT


def test_callers_of_another_process_count(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from voxanne.durable.callers import Counter\n"
        f"Counter(Path({str(folder)!r})).add(2); print('up', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"up\n"
        assert Watch(folder).waiting() == 2
    finally:
        other.communicate(timeout=10)


def test_the_count_of_a_process_that_was_killed_is_soon_forgotten(folder: Path) -> None:
    folder.mkdir()
    (folder / "1").write_bytes(LAYOUT.pack(3, time.time() - callers.STALE_SECONDS - 1))
    assert Watch(folder).waiting() == 0


def test_a_clock_that_was_set_back_makes_no_crowd(folder: Path) -> None:
    folder.mkdir()
    (folder / "1").write_bytes(LAYOUT.pack(0, time.time() + 600))
    (folder / "2").write_bytes(LAYOUT.pack(3, time.time() + 600))
    assert not Watch(folder).crowded()


def test_a_process_with_the_number_of_one_that_is_gone_is_seen_in_its_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container every restart has the same number. A file cut short under a reader would kill it."""
    monkeypatch.setattr(callers, "RELIST_SECONDS", 0.0)
    watch = Watch(folder)
    first = callers.Counter(folder)
    first.add(1)
    assert watch.waiting() == 1
    inode = (folder / str(os.getpid())).stat().st_ino
    second = callers.Counter(folder)
    assert (folder / str(os.getpid())).stat().st_ino != inode
    assert watch.waiting() == 0
    second.add(3)
    assert watch.waiting() == 3
    assert [path.name for path in folder.iterdir()] == [str(os.getpid())]


def test_a_folder_that_cannot_be_written_refuses_no_caller(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "a file"
    settings.DATA_DIR.write_text("in the way")
    with answering():
        assert seconds_of(5) < MOMENT


def test_a_forked_process_counts_for_itself(folder: Path) -> None:
    with answering():
        child = os.fork()
        if child == 0:
            with answering():
                os._exit(Watch(folder).waiting())
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 2


@pytest.mark.django_db
def test_a_kind_that_gives_way_is_worked_off_after_the_callers(
    elm: Clinic, kinds: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    monkeypatch.setattr(tasks, "give_way", asked.append)
    registry.register(texting(gives_way=1.5))
    tasks.work_off("test-text", [(str(elm.id), str(text(elm).pk))])
    assert asked == [1.5]
    text(elm, 1)
    assert tasks.drain("test-text") == 1
    assert asked == [1.5, 1.5, 1.5]
