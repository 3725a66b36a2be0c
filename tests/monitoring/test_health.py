from __future__ import annotations

import threading
import time
from datetime import datetime
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from monitoring import health, heartbeats, redis_link
from monitoring.database_probe import DOWN, DatabaseLook, DatabaseProbe, DatabaseReport
from monitoring.migrated import MigratedCheck, applied_migrations, migrations_on_disk
from monitoring.redis_link import RedisLink

FRESH = DatabaseReport(True, True, 42.5, {"beat": 1.0, "worker": 2.0})


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the next looks see: a database report and whether Redis answers."""
    world: dict[str, Any] = {"database": FRESH, "redis": True}

    class Stub:
        def report(self) -> DatabaseReport:
            report: DatabaseReport = world["database"]
            return report

        def answers(self) -> bool:
            return bool(world["redis"])

        def call(self, work: Any) -> Any:
            raise redis_link.RedisAway("made up")

    monkeypatch.setattr(health, "probe", Stub)
    monkeypatch.setattr(redis_link, "link", Stub)
    return world


@pytest.mark.django_db(transaction=True)
def test_health_tells_what_is_there(client: Client) -> None:
    heartbeats.record("beat", "worker")
    response = client.get("/health")
    body = response.json()
    assert response.status_code == 200
    assert set(body) == {"status", "database_size_mb", "services", "timestamp", "uptime"}
    assert body["status"] == "ok"
    assert body["services"] == {"database": True, "redis": True, "backgroundJobs": True}
    assert body["database_size_mb"] > 1
    assert body["uptime"] > 0
    assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None
    assert response.headers["Cache-Control"].startswith("max-age=0")


@pytest.mark.django_db(transaction=True)
def test_without_a_heartbeat_the_background_is_not_well(client: Client) -> None:
    body = client.get("/health").json()
    assert body["services"]["backgroundJobs"] is False
    assert body["status"] == "degraded"


@pytest.mark.parametrize("silent", ["beat", "worker"])
def test_either_heartbeat_older_than_a_minute_is_degraded(
    client: Client, seen: dict[str, Any], silent: str
) -> None:
    seen["database"] = DatabaseReport(True, True, 1.0, {"beat": 1.0, "worker": 1.0, silent: 61.0})
    response = client.get("/health")
    assert response.status_code == 200
    assert response.json()["services"]["backgroundJobs"] is False
    assert client.get("/health/ready").status_code == 200
    assert client.get("/health/ready").json()["status"] == "degraded"


def test_silence_in_the_background_is_told_once_there_was_time_to_speak(
    client: Client, seen: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(health, "alert", lambda severity, fingerprint, *_, **__: said.append(fingerprint))
    seen["database"] = DatabaseReport(True, True, 1.0, {"beat": 90.0, "worker": 90.0})
    monkeypatch.setattr(health, "STARTED", time.monotonic())
    client.get("/health")
    assert said == []
    monkeypatch.setattr(health, "STARTED", time.monotonic() - 120)
    client.get("/health")
    assert said == ["background-silent"]
    seen["database"] = FRESH
    client.get("/health")
    assert said == ["background-silent"]


@pytest.mark.parametrize(
    ("silent", "said"),
    [
        ({"beat": 90.0, "worker": 1.0}, "Beat shows no life"),
        ({"beat": 90.0, "worker": 90.0}, "Whether beat lives cannot be told"),
        ({}, "Whether beat lives cannot be told"),
    ],
)
def test_a_silent_worker_is_not_told_as_a_dead_beat(
    client: Client, seen: dict[str, Any], monkeypatch: pytest.MonkeyPatch, silent: dict[str, float], said: str
) -> None:
    titles: list[str] = []
    monkeypatch.setattr(health, "alert", lambda severity, fingerprint, title, **_: titles.append(title))
    monkeypatch.setattr(health, "STARTED", time.monotonic() - 120)
    seen["database"] = DatabaseReport(True, True, 1.0, silent)
    client.get("/health")
    (title,) = titles
    assert said in title


def test_redis_away_is_degraded_not_unready(client: Client, seen: dict[str, Any]) -> None:
    seen["redis"] = False
    assert client.get("/health").json()["status"] == "degraded"
    assert client.get("/health").status_code == client.get("/health/ready").status_code == 200


def test_the_database_down_is_an_error(client: Client, seen: dict[str, Any]) -> None:
    seen["database"] = DOWN
    response = client.get("/health")
    assert response.status_code == 503
    assert response.json()["status"] == "error"
    assert response.json()["database_size_mb"] is None
    assert response.json()["services"]["database"] is False
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health/live").status_code == 200


def test_an_unmigrated_database_is_not_ready(client: Client, seen: dict[str, Any]) -> None:
    seen["database"] = DatabaseReport(reachable=True)
    assert client.get("/health").status_code == 200
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["migrated"] is False


def test_the_root_names_us_and_where_to_go(client: Client) -> None:
    body = client.get("/").json()
    assert body["name"] == "Voxanne"
    assert body["version"]
    assert body["links"]["health"].endswith("/health")


def test_a_probe_that_hangs_is_an_answer_in_time() -> None:
    hanging = threading.Event()
    probe = DatabaseProbe(lambda: FRESH if hanging.wait(10) else DOWN, answer_seconds=0.05)
    began = time.monotonic()
    assert probe.report() == DOWN
    # Those after it neither start a look of their own behind the one that hangs nor wait for it again.
    for _ in range(100):
        assert probe.report() == DOWN
    assert time.monotonic() - began < 1
    hanging.set()
    _until(lambda: probe.report() == FRESH)


def test_thirty_who_ask_at_once_share_few_looks() -> None:
    looks: list[int] = []

    def look() -> DatabaseReport:
        looks.append(1)
        time.sleep(0.05)
        return FRESH

    probe = DatabaseProbe(look)
    found: list[DatabaseReport] = []
    threads = [threading.Thread(target=lambda: found.append(probe.report())) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [FRESH] * 30
    assert len(looks) < 5


@pytest.mark.django_db
def test_a_look_at_a_database_that_refuses_says_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> dict[str, float]:
        raise OperationalError("the server closed the connection")

    look = DatabaseLook()
    assert look().reachable
    monkeypatch.setattr(heartbeats, "ages", refuse)
    monkeypatch.setattr(connection, "close", lambda: None)
    assert look() == DOWN


@pytest.mark.django_db
def test_every_migration_on_disk_is_applied_here() -> None:
    assert ("monitoring", "0001_initial") in migrations_on_disk()
    assert migrations_on_disk() <= applied_migrations()
    assert MigratedCheck()() is True


@pytest.mark.django_db
def test_one_missing_migration_is_not_migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "monitoring.migrated.migrations_on_disk", lambda: {("monitoring", "9999_not_there_yet")}
    )
    assert MigratedCheck()() is False


def test_a_dead_redis_costs_its_time_out_once() -> None:
    link = RedisLink("redis://127.0.0.1:1/0")
    with pytest.raises(redis_link.RedisAway):
        link.call(lambda client: client.ping())
    began = time.monotonic()
    for _ in range(100):
        with pytest.raises(redis_link.RedisAway):
            link.call(lambda client: client.ping())
    assert time.monotonic() - began < 0.1
    assert link.answers() is False


def test_a_living_redis_answers() -> None:
    assert redis_link.link().answers() is True
    assert redis_link.link().call(lambda client: client.ping()) is True


def _until(true: Any, seconds: float = 5.0) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "It did not come true in time."
        time.sleep(0.01)
