"""The embedded servers, really started, killed and stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from voxanne.runtime import binaries, servers
from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.process_identity import ProcessIdentity
from voxanne.runtime.servers import ensure_servers, server_status, servers_held, stop_servers
from voxanne.runtime.services_command import status_table
from voxanne.runtime.state import (
    POSTGRES,
    PROJECT_ROOT,
    STATE_FILE,
    VALKEY,
    ServerRecord,
    known_urls,
    read_state,
    write_state,
)

from .conftest import query


def record(data: Path, name: str) -> ServerRecord:
    found = read_state(data).server(name)
    assert found is not None
    return found


def kill(identity: ProcessIdentity) -> None:
    os.kill(identity.pid, signal.SIGKILL)
    assert identity.wait_gone(5)


def test_a_second_start_starts_nothing(reused: Path) -> None:
    ensure_servers()
    before = [record(reused, name).process for name in (POSTGRES, VALKEY)]
    began = time.monotonic()
    assert ensure_servers().started == ()
    assert time.monotonic() - began < 1
    assert [record(reused, name).process for name in (POSTGRES, VALKEY)] == before


def test_stopping_keeps_data_and_ports(reused: Path) -> None:
    first = ensure_servers()
    query(first.database_url, "CREATE TABLE kept AS SELECT 7 AS n")
    redis.Redis.from_url(first.redis_url).set("kept", "8")
    assert stop_servers() == (VALKEY, POSTGRES)
    assert known_urls() == (None, None)
    second = ensure_servers()
    assert (second.database_url, second.redis_url) == (first.database_url, first.redis_url)
    assert query(second.database_url, "SELECT n FROM kept") == 7
    assert redis.Redis.from_url(second.redis_url).get("kept") == b"8"


def test_stopping_twice_changes_nothing(reused: Path) -> None:
    ensure_servers()
    stop_servers()
    assert stop_servers() == ()


def test_one_server_can_be_stopped_alone(reused: Path) -> None:
    urls = ensure_servers()
    assert stop_servers((VALKEY,)) == (VALKEY,)
    assert known_urls() == (urls.database_url, None)


def test_killed_servers_start_again_where_clients_look_and_lose_nothing_committed(reused: Path) -> None:
    urls = ensure_servers()
    query(urls.database_url, "CREATE TABLE committed AS SELECT 1 AS n")
    for name in (POSTGRES, VALKEY):
        kill(record(reused, name).process)
    assert known_urls() == (None, None)
    again = ensure_servers()
    assert again.started == (POSTGRES, VALKEY)
    assert again.database_url == urls.database_url
    assert query(again.database_url, "SELECT n FROM committed") == 1


def test_a_pid_that_was_handed_on_to_another_process_is_not_taken_for_the_server(reused: Path) -> None:
    ensure_servers()
    stop_servers()
    stranger = ProcessIdentity(os.getpid(), "another start")
    state = read_state(reused)
    state.postgres = ServerRecord(stranger, 1, "postgresql://nowhere", "18", "", "")
    write_state(reused, state)
    assert known_urls()[0] is None
    assert ensure_servers().started == (POSTGRES, VALKEY)


def test_a_stale_pid_file_that_names_a_living_stranger_does_not_stop_the_start(reused: Path) -> None:
    ensure_servers()
    folder = Path(record(reused, POSTGRES).data)
    owner = folder.stat()
    kill(record(reused, POSTGRES).process)
    stranger = subprocess.Popen(
        ["sleep", "60"],
        user=owner.st_uid if os.geteuid() == 0 else None,
        group=owner.st_gid if os.geteuid() == 0 else None,
    )
    try:
        note = folder / "postmaster.pid"
        lines = note.read_text().splitlines()
        note.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        assert ensure_servers().started == (POSTGRES,)
    finally:
        stranger.kill()
        stranger.wait()


def test_running_servers_are_found_again_when_their_record_is_lost(reused: Path) -> None:
    urls = ensure_servers()
    postgres = record(reused, POSTGRES).process
    (reused / STATE_FILE).unlink()
    again = ensure_servers()
    assert record(reused, POSTGRES).process == postgres
    assert (again.database_url, again.redis_url) == (urls.database_url, urls.redis_url)
    assert query(again.database_url, "SELECT 1") == 1
    assert redis.Redis.from_url(again.redis_url).ping()


def test_a_port_that_was_taken_meanwhile_is_left_to_its_new_owner(reused: Path) -> None:
    ensure_servers()
    port = record(reused, POSTGRES).port
    stop_servers()
    with socket.create_server(("127.0.0.1", port)):
        urls = ensure_servers()
        assert record(reused, POSTGRES).port != port
        assert query(urls.database_url, "SELECT 1") == 1


def test_two_starts_at_once_make_one_pair_of_servers(reused: Path) -> None:
    program = "from voxanne.runtime.servers import ensure_servers; print(len(ensure_servers().started))"
    starts = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT)
        for _ in range(3)
    ]
    assert sorted(start.communicate(timeout=60)[0].strip() for start in starts) == ["0", "0", "2"]


def test_files_of_another_major_version_are_set_aside_with_a_word(data: Path, said: list[str]) -> None:
    ensure_servers()
    folder = Path(record(data, POSTGRES).data)
    stop_servers()
    (folder / "PG_VERSION").write_text("9\n")
    ensure_servers(say=said.append)
    assert [path.name for path in folder.parent.glob("postgres.2*")] != []
    assert "version 9" in said[0]


def test_valkey_files_that_cannot_be_read_are_set_aside_with_a_word(data: Path, said: list[str]) -> None:
    ensure_servers()
    folder = Path(record(data, VALKEY).data)
    stop_servers()
    for file in folder.glob("appendonlydir/*.manifest"):
        file.write_text("not a manifest\n")
    urls = ensure_servers(say=said.append)
    assert redis.Redis.from_url(urls.redis_url).ping()
    assert "cannot read its files" in said[0]


def test_a_server_that_does_not_come_up_shows_the_end_of_its_log(data: Path) -> None:
    ensure_servers()
    folder = Path(record(data, POSTGRES).data)
    stop_servers()
    with (folder / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(RuntimeFault, match="no_such_setting"):
        ensure_servers()


def test_without_any_server_program_one_line_names_what_to_install(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "_postgres_places", lambda: iter(()))
    with pytest.raises(RuntimeFault, match="apt-get install postgresql") as caught:
        ensure_servers()
    assert "\n" not in str(caught.value)


def test_servers_named_by_the_environment_are_used_and_nothing_is_started(
    reused: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://someone@db.example.com/clinic")
    monkeypatch.setenv("REDIS_URL", "redis://cache.example.com/0")
    urls = ensure_servers()
    assert urls.database_url == "postgresql://someone@db.example.com/clinic"
    assert urls.started == ()
    assert [status.state for status in server_status()] == ["external", "external"]


def test_one_server_may_come_from_the_environment_and_the_other_be_embedded(
    reused: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://someone@db.example.com/clinic")
    assert ensure_servers().started == (VALKEY,)


def test_held_servers_end_with_their_last_holder(reused: Path) -> None:
    with servers_held():
        assert None not in known_urls()
    assert known_urls() == (None, None)


def test_a_redis_that_went_away_under_its_holders_is_looked_for_where_it_was(reused: Path) -> None:
    with servers_held() as held:
        stop_servers(only=(VALKEY,))
        assert known_urls() == (held.database_url, held.redis_url)
        again = ensure_servers(only=(VALKEY,))
        assert again.redis_url == held.redis_url
    assert known_urls() == (None, None)


def test_servers_somebody_else_holds_stay_up(reused: Path) -> None:
    other = subprocess.Popen(["sleep", "60"])
    try:
        with servers_held():
            state = read_state(reused)
            holder = ProcessIdentity.of(other.pid)
            assert holder is not None
            state.holders.append(holder)
            write_state(reused, state)
        assert None not in known_urls()
    finally:
        other.kill()
        other.wait()
    with servers_held():
        pass
    assert known_urls() == (None, None)


def test_servers_started_to_stay_outlive_their_holders(reused: Path) -> None:
    ensure_servers(keep=True)
    with servers_held():
        pass
    assert None not in known_urls()


def test_a_crashed_server_is_started_again_but_a_stopped_one_is_not(reused: Path, said: list[str]) -> None:
    urls = ensure_servers()
    kill(record(reused, POSTGRES).process)
    stop_servers((VALKEY,))
    servers.restart_crashed(said.append)
    assert known_urls() == (urls.database_url, None)
    assert said == ["postgres ended unexpectedly: starting it again."]


def test_the_status_table_names_state_version_pid_and_port(reused: Path) -> None:
    ensure_servers()
    table = status_table(server_status())
    assert str(record(reused, POSTGRES).port) in table
    assert table.count("running") == 2
    stop_servers()
    assert status_table(server_status()).count("stopped") == 2
