from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from voxanne.runtime import set_up
from voxanne.runtime.external import check_external_servers
from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.servers import ensure_servers
from voxanne.runtime.set_up import StepFailed, run_step, static_fingerprint
from voxanne.runtime.stop_request import StopRequest, StopRequested


class Asked(StopRequest):
    def asked(self) -> bool:
        return True


def test_a_step_answers_with_what_it_printed() -> None:
    assert run_step([sys.executable, "-c", "print('done')"], os.environ, StopRequest()) == "done\n"


def test_a_failed_step_shows_its_code_and_last_words() -> None:
    code = "import sys; print('tables', file=sys.stderr); sys.exit(7)"
    with pytest.raises(StepFailed, match="tables") as caught:
        run_step([sys.executable, "-c", code], os.environ, StopRequest())
    assert caught.value.code == 7


def test_a_request_to_stop_ends_the_step_that_runs() -> None:
    began = time.monotonic()
    with pytest.raises(StopRequested):
        run_step(["sleep", "60"], os.environ, Asked())
    assert time.monotonic() - began < 5


def test_static_files_are_gathered_again_only_after_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_up, "PROJECT_ROOT", tmp_path)
    ours = tmp_path / "monitoring" / "static" / "monitoring.css"
    gathered = tmp_path / ".data" / "static" / "monitoring.css"
    for path in (ours, gathered):
        path.parent.mkdir(parents=True)
        path.write_text("a {}")
    before = static_fingerprint()
    gathered.write_text("a { color: red }")
    assert static_fingerprint() == before
    ours.write_text("a { color: red }")
    assert static_fingerprint() != before


def test_a_database_that_does_not_answer_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://clinic:pa55word@127.0.0.1:1/clinic")
    monkeypatch.delenv("REDIS_URL", raising=False)
    with pytest.raises(RuntimeFault, match=r"DATABASE_URL: no way into 127\.0\.0\.1:1") as caught:
        check_external_servers()
    assert "pa55word" not in str(caught.value)


def test_a_redis_that_does_not_answer_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("REDIS_URL", "redis://:pa55word@127.0.0.1:1/0")
    with pytest.raises(RuntimeFault, match=r"REDIS_URL: 127\.0\.0\.1 does not answer") as caught:
        check_external_servers()
    assert "pa55word" not in str(caught.value)


def test_servers_of_ones_own_that_answer_are_accepted(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = ensure_servers()
    monkeypatch.setenv("DATABASE_URL", urls.database_url)
    monkeypatch.setenv("REDIS_URL", urls.redis_url)
    check_external_servers()
