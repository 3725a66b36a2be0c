"""What the embedded servers are like once they run; one pair serves all tests here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from voxanne.runtime.server_log import log_path
from voxanne.runtime.servers import ServerUrls, ensure_servers, stop_servers
from voxanne.runtime.state import (
    POSTGRES,
    STATE_FILE,
    VALKEY,
    ServerRecord,
    data_directory,
    known_urls,
    read_state,
)

from .conftest import own_data_folder, query


@pytest.fixture(scope="module")
def running(folder_of_module: Path) -> Iterator[ServerUrls]:
    with own_data_folder(folder_of_module):
        yield ensure_servers()
        stop_servers()


def record(name: str) -> ServerRecord:
    found = read_state(data_directory()).server(name)
    assert found is not None
    return found


def test_both_servers_start_and_answer_at_their_urls(running: ServerUrls) -> None:
    assert query(running.database_url, "SELECT 40 + 2") == 42
    assert redis.Redis.from_url(running.redis_url).ping()
    assert known_urls() == (running.database_url, running.redis_url)


def test_the_database_role_owns_its_database_and_cannot_bypass_row_security(running: ServerUrls) -> None:
    rights = (
        "SELECT rolsuper::text || rolbypassrls::text || rolcreatedb::text || rolcreaterole::text "
        "FROM pg_roles WHERE rolname = current_user"
    )
    assert query(running.database_url, rights) == "falsefalsetruetrue"
    query(running.database_url, "CREATE EXTENSION btree_gist")
    query(
        running.database_url,
        "CREATE TABLE visit (who int, during tstzrange, EXCLUDE USING gist (who WITH =, during WITH &&))",
    )


@pytest.mark.parametrize(
    ("setting", "value"),
    [("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on"), ("max_connections", "200")],
)
def test_commits_are_durable_and_connections_suffice(running: ServerUrls, setting: str, value: str) -> None:
    assert query(running.database_url, f"SHOW {setting}") == value


def test_valkey_keeps_a_log_evicts_nothing_and_asks_for_its_password(running: ServerUrls) -> None:
    url = running.redis_url
    client = redis.Redis.from_url(url)
    assert client.config_get("appendonly") == {"appendonly": "yes"}
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=record(VALKEY).port).ping()


def test_the_database_log_keeps_nothing_of_what_people_typed(running: ServerUrls) -> None:
    for statement in ("SELECT 'Marguerite Duras'::int", "INSERT INTO nowhere VALUES ('+14155550100')"):
        with pytest.raises(psycopg.Error):
            query(running.database_url, statement)
    text = log_path(data_directory(), POSTGRES).read_text()
    assert "Marguerite" not in text
    assert "+1415" not in text


def test_secrets_lie_in_private_files_only(running: ServerUrls) -> None:
    store = Path(record(POSTGRES).data).parent
    for path in (data_directory() / STATE_FILE, *store.glob("*.password"), store / "valkey.conf"):
        assert path.stat().st_mode & 0o077 == 0, path
    words = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    for path in store.glob("*.password"):
        assert path.read_text().strip() not in words


def test_nothing_listens_beyond_this_machine(running: ServerUrls) -> None:
    assert query(running.database_url, "SHOW listen_addresses") == "127.0.0.1"
    assert redis.Redis.from_url(running.redis_url).config_get("bind") == {"bind": "127.0.0.1"}


def test_urls_are_not_printed_by_accident(running: ServerUrls) -> None:
    assert json.dumps(repr(running) + repr(read_state(data_directory()))).count("://") == 0
