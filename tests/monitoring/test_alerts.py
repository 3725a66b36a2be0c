from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Response

from monitoring import alerts, redis_link
from monitoring.alerts import Alert, NotPosted, Severity, SlackChannel, alert, deliver, post, text_of
from monitoring.aside import aside, finish
from monitoring.redis_link import RedisLink

OPENED = Alert(Severity.WARNING, "breaker:twilio_sms", "The circuit to Twilio is open.", {"failures": 3})


@pytest.fixture
def slack(httpserver: HTTPServer, settings: Settings) -> HTTPServer:
    """A Slack that takes everything."""
    settings.SLACK_API_BASE_URL = httpserver.url_for("").rstrip("/")
    settings.SLACK_BOT_TOKEN = "xoxb-test"
    httpserver.expect_request("/api/chat.postMessage", method="POST").respond_with_json({"ok": True})
    return httpserver


@pytest.fixture(autouse=True)
def _fresh_throttle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "throttle", alerts.Throttle())


@pytest.fixture
def redis_away(monkeypatch: pytest.MonkeyPatch) -> None:
    away = RedisLink("redis://127.0.0.1:1/0")
    monkeypatch.setattr(redis_link, "link", lambda: away)


def posted(slack: HTTPServer) -> list[dict[str, Any]]:
    return [json.loads(request.get_data()) for request, _ in slack.log]


def test_an_alert_reaches_the_channel_as_the_bot(slack: HTTPServer) -> None:
    alert(Severity.CRITICAL, "late:sweep", "The sweep is late.", seconds=90)
    assert finish()
    ((request, _),) = slack.log
    assert request.headers["Authorization"] == "Bearer xoxb-test"
    (message,) = posted(slack)
    assert message["channel"] == "#voxanne-alerts"
    assert "The sweep is late." in message["text"]
    assert "seconds: 90" in message["text"]


def test_the_same_alert_speaks_once_a_window_and_counts_the_rest(slack: HTTPServer) -> None:
    assert [deliver(OPENED) for _ in range(4)] == [True, False, False, False]
    assert len(posted(slack)) == 1
    redis_link.link().call(lambda redis: redis.delete(redis_link.key("alert", OPENED.fingerprint)))
    assert deliver(OPENED)
    assert "3 more of the same" in posted(slack)[-1]["text"]


def test_another_fault_is_not_held_back(slack: HTTPServer) -> None:
    assert deliver(OPENED)
    assert deliver(Alert(Severity.WARNING, "breaker:vapi_api", "The circuit to Vapi is open."))


def test_two_processes_share_the_window(slack: HTTPServer) -> None:
    other = alerts.Throttle()
    assert alerts.throttle.admit("shared", 60) == 0
    assert other.admit("shared", 60) is None


@pytest.mark.usefixtures("redis_away")
def test_without_redis_the_window_is_kept_by_the_process(slack: HTTPServer) -> None:
    assert [deliver(OPENED) for _ in range(3)] == [True, False, False]
    assert len(posted(slack)) == 1


def test_nothing_personal_and_no_markup_reaches_slack() -> None:
    text = text_of(
        Alert(
            Severity.WARNING,
            "x",
            "Twilio refused +14155550142 <!channel> & more",
            {
                "patient_name": "Jane Roe",
                "note": "call 415-555-0142",
                "org_id": "01932f2e-0000-7123-8456-123456789012",
            },
        )
    )
    assert "Jane" not in text
    assert "555" not in text
    assert "<!channel>" not in text
    assert "01932f2e-0000-7123-8456-123456789012" in text


def test_the_caller_does_not_wait_for_slack(httpserver: HTTPServer, settings: Settings) -> None:
    answered = threading.Event()

    def slow(_: Any) -> Response:
        answered.wait(5)
        return Response('{"ok": true}', content_type="application/json")

    httpserver.expect_request("/api/chat.postMessage").respond_with_handler(slow)
    settings.SLACK_API_BASE_URL, settings.SLACK_BOT_TOKEN = httpserver.url_for("").rstrip("/"), "xoxb-test"
    began = time.monotonic()
    alert(Severity.WARNING, "slow", "Slack is slow.")
    assert time.monotonic() - began < 0.1
    answered.set()
    assert finish()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Response("upstream unavailable", status=503), "answered 503"),
        (Response('{"ok": false, "error": "invalid_auth"}', content_type="application/json"), "invalid_auth"),
        (Response("<html>", status=200), "not JSON"),
        (Response("[]", status=200), "no reason given"),
    ],
)
def test_every_refusal_is_told_apart(httpserver: HTTPServer, answer: Response, reason: str) -> None:
    httpserver.expect_request("/api/chat.postMessage").respond_with_response(answer)
    with pytest.raises(NotPosted, match=reason):
        post("text", SlackChannel(httpserver.url_for("").rstrip("/"), "xoxb", "#alerts"))


def test_a_slack_that_cannot_be_reached_is_not_posted() -> None:
    with pytest.raises(NotPosted, match="cannot be reached"):
        post("text", SlackChannel("http://127.0.0.1:1", "xoxb", "#alerts"))


def test_a_rate_limit_is_waited_out_once(httpserver: HTTPServer) -> None:
    limited = Response('{"ok": false}', status=429, headers={"Retry-After": "0"})
    httpserver.expect_ordered_request("/api/chat.postMessage").respond_with_response(limited)
    httpserver.expect_ordered_request("/api/chat.postMessage").respond_with_json({"ok": True})
    post("text", SlackChannel(httpserver.url_for("").rstrip("/"), "xoxb", "#alerts"))
    assert len(httpserver.log) == 2


def test_an_alert_that_slack_refused_is_soon_tried_again(httpserver: HTTPServer, settings: Settings) -> None:
    settings.SLACK_API_BASE_URL, settings.SLACK_BOT_TOKEN = httpserver.url_for("").rstrip("/"), "xoxb-test"
    httpserver.expect_request("/api/chat.postMessage").respond_with_data("no", status=500)
    assert deliver(OPENED) is False
    left = redis_link.link().call(lambda redis: redis.ttl(redis_link.key("alert", OPENED.fingerprint)))
    assert 0 < left <= alerts.RETRY_AFTER_FAILURE_SECONDS


def test_without_slack_the_log_has_it(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.SLACK_BOT_TOKEN = ""
    assert deliver(OPENED) is True
    assert any("breaker:twilio_sms" in str(record.msg) for record in caplog.records)


@pytest.fixture
def held_up() -> Iterator[Callable[[], None]]:
    """Keeps the thread that works aside busy until called."""
    may_go = threading.Event()
    aside("hold up", lambda: may_go.wait(10))
    yield may_go.set
    may_go.set()
    assert finish()


def test_an_errand_that_fails_keeps_no_other_from_being_done(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []
    aside("stumble", lambda: done[7])
    aside("walk", lambda: done.append("walked"))
    assert finish()
    assert done == ["walked"]
    assert any("errand_failed" in str(record.msg) for record in caplog.records)


def test_more_errands_than_can_wait_are_dropped_at_once(
    held_up: Callable[[], None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    began = time.monotonic()
    for _ in range(1_100):
        aside("one more", lambda: None)
    assert time.monotonic() - began < 2
    assert any("errand_dropped" in str(record.msg) for record in caplog.records)
    assert finish(0.05) is False
    held_up()
