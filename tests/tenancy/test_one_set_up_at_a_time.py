"""Set-ups that begin at once take turns, say so, and all end well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings
from django.db import connections

from tests.tenancy.subprocesses import ROOT, Ran, run
from voxanne.runtime.set_up import WAITING as SHOWN_AT_ONCE
from voxanne.runtime.set_up import manage, run_step
from voxanne.runtime.stop_request import StopRequest
from voxanne.tenancy import bound_role
from voxanne.tenancy.turns import LOCK_SPACE, SET_UP, WAITING

Database = psycopg.Connection[tuple[object, ...]]
PATIENCE = 60.0


@pytest.fixture(scope="module")
def url(django_db_setup: None) -> Iterator[str]:
    """A database of the owner's, fresh, migrated by two who began at once."""
    server, name = settings.DATABASE_OWNER_URL, settings.DATABASES["default"]["NAME"] + "_turns"
    with psycopg.connect(server, autocommit=True) as database:
        database.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        database.execute(f'CREATE DATABASE "{name}"')
        try:
            fresh = urlsplit(server)._replace(path=f"/{name}").geturl()
            for ran in at_once(2, "migrate", "--verbosity", "0", url=fresh):
                assert ran.returncode == 0, ran.stderr
            yield fresh
        finally:
            database.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def environment(url: str) -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "voxanne.settings"}


def at_once(count: int, *words: str, url: str) -> list[Ran]:
    with ThreadPoolExecutor(count) as pool:
        started = [pool.submit(run, ["manage.py", *words], DATABASE_URL=url) for _ in range(count)]
        return [one.result() for one in started]


def test_migrations_and_seedings_that_begin_at_once_all_end_well(url: str) -> None:
    seeded = at_once(3, "seed_demo", "--json", url=url)
    for ran in seeded:
        assert ran.returncode == 0, ran.stderr
    assert len({ran.stdout for ran in seeded}) == 1
    assert len(json.loads(seeded[0].stdout)["clinics"]) == 2
    with psycopg.connect(url) as database:
        assert database.execute("SELECT count(*) FROM organizations").fetchone() == (2,)


@pytest.mark.parametrize("words", [("migrate",), ("seed_demo", "--json")])
def test_who_has_to_wait_says_so_at_once_and_then_goes_on(url: str, words: tuple[str, ...]) -> None:
    """The other set-up is this test. The lines are what `make run` shows of its steps."""
    heard: list[str] = []
    said = threading.Event()

    def hear(line: str) -> None:
        heard.append(line)
        said.set()

    with psycopg.connect(url, autocommit=True) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SELECT pg_advisory_lock(%s, %s)", [LOCK_SPACE, SET_UP])
        step = pool.submit(run_step, manage(*words), environment(url), StopRequest(), hear)
        try:
            assert said.wait(PATIENCE)
            assert not step.done()
        finally:
            other.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_SPACE, SET_UP])
        assert step.result(PATIENCE)
    assert heard == [WAITING]
    assert WAITING.startswith(SHOWN_AT_ONCE)


def test_who_has_not_to_wait_says_nothing(url: str) -> None:
    heard: list[str] = []
    run_step(manage("migrate", "--plan"), environment(url), StopRequest(), heard.append)
    assert heard == []


def test_a_set_up_that_is_killed_holds_nobody_up(url: str) -> None:
    held = f"""
import django; django.setup()
import sys, time
from voxanne.tenancy.turns import one_set_up
with one_set_up("owner", print):
    print("held", flush=True)
    time.sleep({PATIENCE})
"""
    first = subprocess.Popen(
        [sys.executable, "-c", held], env=environment(url), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    first.kill()
    first.wait()
    first.stdout.close()
    ran = run(["-c", held.replace(f"time.sleep({PATIENCE})", "pass")], DATABASE_URL=url)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.endswith("held\n")


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_a_role_that_another_databases_set_up_makes_meanwhile_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Advisory locks are a database's, roles are the server's."""
    role = settings.DATABASES["default"]["NAME"] + "_turns"
    monkeypatch.setattr(bound_role, "serving_role", lambda: role)
    url = settings.DATABASE_OWNER_URL
    with psycopg.connect(url) as other, psycopg.connect(url, autocommit=True) as onlooker:
        other.execute(f'CREATE ROLE "{role}" NOLOGIN')
        ours = threading.Thread(target=_ensure_role)
        ours.start()
        try:
            _until_somebody_waits(onlooker, role)
        finally:
            other.commit()
            ours.join(PATIENCE)
        try:
            member = "SELECT pg_has_role(current_user, %s, 'MEMBER')"
            assert onlooker.execute(member, [role]).fetchone() == (True,)
        finally:
            onlooker.execute(f'DROP ROLE "{role}"')
    assert not _faults


_faults: list[BaseException] = []


def _ensure_role() -> None:
    try:
        bound_role.ensure_role()
    except BaseException as fault:
        _faults.append(fault)
    finally:
        connections["owner"].close()


def _until_somebody_waits(onlooker: Database, role: str) -> None:
    """Until the other CREATE ROLE stands behind the first one's uncommitted row."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
    deadline = time.monotonic() + PATIENCE
    while onlooker.execute(waits, [f'CREATE ROLE "{role}"%']).fetchone() == (0,):
        assert time.monotonic() < deadline
        time.sleep(0.02)
