from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

from monitoring.access import same_secret
from tests.clinics import Clinic
from voxanne.tenancy.models import User

pytestmark = [pytest.mark.urls("tests.monitoring.urls"), pytest.mark.django_db]

OPERATIONS = "/api/operations"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
ABROAD = "203.0.113.7"


@pytest.fixture
def abroad() -> Client:
    """A client on another machine."""
    return Client(REMOTE_ADDR=ABROAD)


@pytest.fixture
def operator() -> User:
    return User.objects.create_superuser("operator", password="correct horse battery")


def status(
    client: Client, authorization: str | None = None, path: str = OPERATIONS, method: str = "get"
) -> int:
    headers = {"Authorization": authorization} if authorization is not None else {}
    code: int = getattr(client, method)(path, headers=headers).status_code
    return code


def test_the_token_opens(abroad: Client, settings: Settings) -> None:
    assert status(abroad, f"Bearer {settings.MONITORING_TOKEN}") == 200
    assert status(abroad, f"bearer  {settings.MONITORING_TOKEN}") == 200


@pytest.mark.parametrize("wrong", ["Bearer wrong", "Bearer ", "Basic abc", "", "Bearer ünïcode"])
def test_nothing_else_opens(abroad: Client, wrong: str) -> None:
    assert status(abroad, wrong) == 401
    assert status(abroad) == 401


def test_a_refusal_says_what_is_asked_for(abroad: Client) -> None:
    response = abroad.get(OPERATIONS)
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["error"]["code"] == "unauthorized"


def test_an_unset_token_opens_nothing(abroad: Client, settings: Settings) -> None:
    settings.MONITORING_TOKEN = ""
    assert status(abroad, "Bearer ") == 401
    assert not same_secret("", "")


def test_the_cron_secret_is_no_monitoring_token(abroad: Client, settings: Settings) -> None:
    assert status(abroad, f"Bearer {settings.CRON_SECRET}") == 401
    assert status(abroad, f"Bearer {settings.MONITORING_TOKEN}", path="/api/cron") == 401
    assert status(abroad, f"Bearer {settings.CRON_SECRET}", path="/api/cron") == 200


def test_cron_has_no_other_way_in(operator: User) -> None:
    here = Client()
    assert status(here, path="/api/cron") == 401
    here.force_login(operator)
    assert status(here, path="/api/cron") == 401


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "127.8.8.8"])
def test_this_machine_needs_nothing_in_development(address: str) -> None:
    assert status(Client(REMOTE_ADDR=address)) == 200


def test_this_machine_needs_a_token_in_production(settings: Settings) -> None:
    settings.PRODUCTION = True
    assert status(Client()) == 401


def test_a_wrong_token_is_wrong_from_this_machine_too() -> None:
    assert status(Client(), "Bearer wrong") == 401


def test_a_proxy_nobody_told_us_of_does_not_make_the_world_this_machine() -> None:
    assert Client().get(OPERATIONS, headers={"X-Forwarded-For": ABROAD}).status_code == 401
    assert Client().get(OPERATIONS, headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 401


@pytest.mark.parametrize("forwarded", ["127.0.0.1", f"127.0.0.1, {ABROAD}", "junk", ""])
def test_what_came_through_a_proxy_came_from_elsewhere(settings: Settings, forwarded: str) -> None:
    settings.TRUSTED_PROXY_COUNT = 1
    assert Client().get(OPERATIONS, headers={"X-Forwarded-For": forwarded}).status_code == 401


def here(**headers: str) -> int:
    """What this machine is told in development, asked as ``headers`` say."""
    code: int = Client().get(OPERATIONS, headers=headers).status_code
    return code


@pytest.mark.parametrize(
    "host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST", "web.localhost"]
)
def test_this_machine_is_called_by_its_own_names(host: str) -> None:
    assert here(Host=host) == 200
    assert here(Host=host, Origin=f"http://{host.lower()}", **SAME_ORIGIN) == 200


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example:8000",
        "localhost.rebound.example",
        "notlocalhost",
        "203.0.113.7:8000",
        "127.0.0.1.rebound.example",
        "0.0.0.0:8000",
    ],
)
def test_another_name_that_leads_here_opens_nothing(host: str, settings: Settings) -> None:
    """A page whose name was made to lead to 127.0.0.1 asks as a page of the same origin."""
    assert here(Host=host, Origin=f"http://{host}", **SAME_ORIGIN) == 401
    assert here(Host=host) == 401
    assert here(Host=host, Authorization=f"Bearer {settings.MONITORING_TOKEN}") == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "https://localhost:8000"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_somebody_elses_page_on_this_machine_opens_nothing(
    headers: dict[str, str], settings: Settings
) -> None:
    assert here(Host="localhost:8000", **headers) == 401
    assert here(Host="localhost:8000", Authorization=f"Bearer {settings.MONITORING_TOKEN}", **headers) == 200


def test_an_operators_session_opens(abroad: Client, operator: User) -> None:
    abroad.force_login(operator)
    assert status(abroad) == 200


@pytest.mark.parametrize("role", ["owner", "manager", "receptionist", "viewer"])
def test_a_clinics_staff_is_refused_from_wherever(elm: Clinic, abroad: Client, role: str) -> None:
    for client in (abroad, Client()):
        client.force_login(elm.staff[role])
        assert status(client) == 403


def test_a_session_that_has_ended_is_no_session(abroad: Client) -> None:
    abroad.cookies["sessionid"] = "long-gone"
    assert status(abroad) == 401


def test_a_session_cannot_be_made_to_act_from_another_site(operator: User, settings: Settings) -> None:
    strict = Client(enforce_csrf_checks=True, REMOTE_ADDR=ABROAD)
    strict.force_login(operator)
    assert strict.post(OPERATIONS).status_code == 403
    token = f"Bearer {settings.MONITORING_TOKEN}"
    assert strict.post(OPERATIONS, headers={"Authorization": token}).status_code == 200


def test_thirty_wrong_tokens_a_second_are_told_so_and_more_are_told_to_wait(
    abroad: Client, settings: Settings
) -> None:
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"forged": "30/h"}
    assert [status(abroad, "Bearer wrong") for _ in range(30)] == [401] * 30
    response = abroad.get(OPERATIONS, headers={"Authorization": "Bearer wrong"})
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 0
    assert status(abroad, f"Bearer {settings.MONITORING_TOKEN}") == 200
    assert status(Client(REMOTE_ADDR="203.0.113.8"), "Bearer wrong") == 401
