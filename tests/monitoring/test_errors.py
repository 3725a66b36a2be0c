from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from voxanne.tenancy.middleware import StaffScopeMiddleware

pytestmark = pytest.mark.urls("tests.monitoring.urls")


@pytest.fixture
def client() -> Client:
    """Sees answers as they leave the server, exceptions included."""
    return Client(raise_request_exception=False)


def refusal(response: Any) -> tuple[int, str]:
    body = response.json()
    assert set(body) == {"error"}
    assert {"code", "message"} <= set(body["error"]) <= {"code", "message", "details"}
    assert body["error"]["message"].endswith(".")
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-Request-ID"]
    return response.status_code, body["error"]["code"]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("bug", (500, "internal_error")),
        ("away", (503, "database_unavailable")),
        ("closed", (503, "database_unavailable")),
        ("unreadable", (400, "invalid_request")),
        ("big", (413, "too_large")),
        ("suspicious", (400, "invalid_request")),
        ("denied", (403, "forbidden")),
        ("absent", (404, "not_found")),
        ("taken", (409, "slot_unavailable")),
    ],
)
def test_every_fault_of_a_view_has_its_code(client: Client, how: str, expected: tuple[int, str]) -> None:
    response = client.get(f"/api/fail/{how}")
    assert refusal(response) == expected
    assert b"Traceback" not in response.content
    assert b"0142" not in response.content


def test_a_rules_refusal_keeps_its_words_and_details(client: Client) -> None:
    error = client.get("/api/fail/taken").json()["error"]
    assert error["message"] == "That hour is taken."
    assert error["details"] == {"alternatives": ["10:00"]}


def test_a_database_away_asks_to_come_again(client: Client) -> None:
    assert client.get("/api/fail/away").headers["Retry-After"]


def test_an_unknown_address_is_json(client: Client) -> None:
    assert refusal(client.get("/no/such/address")) == (404, "not_found")


def test_a_wrong_method_says_which_are_right(client: Client) -> None:
    response = client.get("/api/only-post")
    assert refusal(response) == (405, "method_not_allowed")
    assert response.headers["Allow"] == "POST"


def test_a_body_that_is_too_large_is_413(client: Client, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    response = client.post("/api/body", data="x" * 101, content_type="application/json")
    assert refusal(response) == (413, "too_large")


def test_a_forged_form_is_refused_in_the_common_shape(settings: Settings) -> None:
    settings.CSRF_FAILURE_VIEW = "monitoring.errors.csrf_failure"
    strict = Client(enforce_csrf_checks=True, raise_request_exception=False)
    assert refusal(strict.post("/api/protected")) == (403, "csrf_failed")


def test_what_middleware_raises_is_answered_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.monitoring.urls import FAULTS

    def refuse(self: StaffScopeMiddleware, request: Any) -> Any:
        raise FAULTS["away"]

    monkeypatch.setattr(StaffScopeMiddleware, "__call__", refuse)
    assert refusal(client.get("/")) == (503, "database_unavailable")


@pytest.mark.parametrize(("how", "status"), [("bug", 500), ("absent", 404)])
def test_people_get_a_page(client: Client, how: str, status: int) -> None:
    response = client.get(f"/admin/fail/{how}")
    assert response.status_code == status
    assert response.headers["Content-Type"].startswith("text/html")
    assert b"Traceback" not in response.content


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("{", "application/json", (400, "invalid_request")),
        ("\ud800".encode("utf-8", "surrogatepass"), "application/json", (400, "invalid_request")),
        (b"\x00\xff", "application/json", (400, "invalid_request")),
        ("[]", "application/json", (400, "invalid_request")),
        ('{"day": 7}', "application/json", (400, "invalid_request")),
        ("day=1", "application/x-www-form-urlencoded", (415, "unsupported_media_type")),
        ("x", "multipart/form-data; boundary=none", (415, "unsupported_media_type")),
    ],
)
def test_the_rest_framework_refuses_in_the_same_shape(
    client: Client, body: Any, content_type: str, expected: tuple[int, str]
) -> None:
    assert refusal(client.post("/api/rest", data=body, content_type=content_type)) == expected


def test_the_rest_frameworks_field_errors_are_details(client: Client) -> None:
    response = client.post("/api/rest", data='{"day": 7}', content_type="application/json")
    assert "day" in response.json()["error"]["details"]["fields"]


def test_the_rest_frameworks_other_refusals_have_the_shape(client: Client) -> None:
    assert refusal(client.get("/api/rest")) == (404, "not_found")
    assert refusal(client.delete("/api/rest")) == (405, "method_not_allowed")
    assert refusal(client.get("/api/rest-closed"))[0] in (401, 403)


@pytest.mark.parametrize(
    "given", ["short", "with spaces in it", "a" * 65, "new\nline-12345678", "ok-12345678\n"]
)
def test_a_request_id_that_could_forge_a_line_is_replaced(client: Client, given: str) -> None:
    answered = client.get("/health/live", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert answered != given
    assert "\n" not in answered


def test_a_good_request_id_comes_back(client: Client) -> None:
    assert (
        client.get("/health/live", headers={"X-Request-ID": "abc-12345678"}).headers["X-Request-ID"]
        == "abc-12345678"
    )
