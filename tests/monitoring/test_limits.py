from __future__ import annotations

import time

import pytest
from django.core.cache import caches
from django.test import Client, RequestFactory
from pytest_django import Settings

from monitoring.limit_cache import LimitCache
from monitoring.limits import CLINIC_API, network_of, over_limit
from tests.clinics import Clinic

pytestmark = pytest.mark.urls("tests.monitoring.urls")


@pytest.fixture
def three_a_minute(settings: Settings) -> None:
    settings.RATE_LIMITS = dict.fromkeys(settings.RATE_LIMITS, "3/m")


@pytest.fixture
def redis_away(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = settings.CACHES["ratelimit"] | {"LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = settings.CACHES | {"ratelimit": cache}
    monkeypatch.setattr(LimitCache, "away_until", 0.0)


def statuses(path: str, times: int, **environ: str) -> list[int]:
    client = Client(**environ)  # type: ignore[arg-type]
    return [client.get(path).status_code for _ in range(times)]


@pytest.mark.usefixtures("three_a_minute")
def test_one_too_many_is_told_when_to_come_again() -> None:
    assert statuses("/api/counted", 4) == [200, 200, 200, 429]
    response = Client().get("/api/counted")
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert response.json()["error"]["code"] == "too_many_requests"


@pytest.mark.usefixtures("three_a_minute")
def test_another_address_has_its_own_count() -> None:
    assert statuses("/api/counted", 4)[-1] == 429
    assert statuses("/api/counted", 1, REMOTE_ADDR="203.0.113.9") == [200]


@pytest.mark.usefixtures("three_a_minute")
def test_a_whole_ipv6_network_counts_as_one() -> None:
    for host in range(3):
        assert statuses("/api/counted", 1, REMOTE_ADDR=f"2001:db8:1:2::{host}") == [200]
    assert statuses("/api/counted", 1, REMOTE_ADDR="2001:db8:1:2:ffff::1") == [429]
    assert statuses("/api/counted", 1, REMOTE_ADDR="2001:db8:1:3::1") == [200]


@pytest.mark.usefixtures("three_a_minute")
def test_a_clinic_is_counted_by_its_id_wherever_it_calls_from() -> None:
    first = RequestFactory().get("/", REMOTE_ADDR="203.0.113.1")
    second = RequestFactory().get("/", REMOTE_ADDR="203.0.113.2")
    assert [over_limit(first, CLINIC_API, "elm") for _ in range(3)] == [None] * 3
    refused = over_limit(second, CLINIC_API, "elm")
    assert refused is not None
    assert refused.status_code == 429
    assert over_limit(first, CLINIC_API, "oak") is None


@pytest.mark.django_db
@pytest.mark.usefixtures("three_a_minute")
def test_people_who_are_signed_in_are_exempt(elm: Clinic) -> None:
    client = Client()
    client.force_login(elm.staff["viewer"])
    assert [client.get("/api/counted").status_code for _ in range(6)] == [200] * 6


@pytest.mark.usefixtures("three_a_minute")
def test_health_is_exempt_and_the_root_is_not() -> None:
    assert statuses("/health/live", 6) == [200] * 6
    assert statuses("/", 4) == [200, 200, 200, 429]


@pytest.mark.usefixtures("three_a_minute", "redis_away")
def test_without_redis_callers_are_let_through_and_do_not_wait() -> None:
    began = time.monotonic()
    assert statuses("/api/counted", 20) == [200] * 20
    assert time.monotonic() - began < 1


@pytest.mark.usefixtures("three_a_minute", "redis_away")
def test_without_redis_a_strict_limit_refuses() -> None:
    response = Client().get("/api/counted-strictly")
    assert response.status_code == 429
    assert response.headers["Retry-After"] == "1"


@pytest.mark.usefixtures("redis_away")
def test_a_redis_that_is_away_is_no_count() -> None:
    cache = caches["ratelimit"]
    assert cache.add("key", 1) is False
    assert cache.incr("key") is None
    assert cache.get("key") is None


def test_the_contracts_rates_are_the_defaults(settings: Settings) -> None:
    assert settings.RATE_LIMITS["clinic_api"] == "1000/h"
    assert settings.RATE_LIMITS["anonymous"] == "100/15m"
    assert settings.RATE_LIMITS["booking_address"] == "100/m"
    assert settings.RATE_LIMITS["forged"] == "30/s"


@pytest.mark.parametrize(
    ("address", "network"),
    [("203.0.113.7", "203.0.113.7"), ("2001:db8::1", "2001:db8::/64"), ("junk", "unknown"), ("", "unknown")],
)
def test_whom_an_address_counts_for(address: str, network: str) -> None:
    assert network_of(address) == network
