from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
import sentry_sdk
from django.core.management import call_command
from pytest_django import Settings
from sentry_sdk.transport import Transport

from monitoring import error_reports
from monitoring.error_reports import scrub_event
from monitoring.errors import DomainError
from monitoring.verification import sink


class Kept(Transport):
    """Keeps what would have left."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Any) -> None:
        self.events += [item.payload.json for item in envelope.items if item.payload.json]


@pytest.fixture
def sent() -> Any:
    """Reports through the options of production, and returns what left."""
    transport = Kept()
    options = {**error_reports.options(), "integrations": [], "default_integrations": False}
    client = sentry_sdk.Client(dsn="http://public@127.0.0.1:1/1", transport=transport, **options)
    with sentry_sdk.isolation_scope() as scope:
        scope.set_client(client)
        yield transport.events
    client.close(timeout=0)


def test_a_report_leaves_without_anything_personal(sent: list[dict[str, Any]]) -> None:
    sentry_sdk.add_breadcrumb(message="texting +14155550142", data={"to": "+14155550142", "status": 400})
    with sentry_sdk.new_scope() as scope:
        scope.set_extra("message", {"patientName": "Jane Roe", "list": ["jane@example.com"]})
        scope.set_context("call", {"transcript": "I am ill", "duration": 12})
        scope.set_user({"id": "7", "email": "jane@example.com", "username": "jane", "ip_address": "1.2.3.4"})
        scope.set_tag("number", "+14155550142")
        patient_name = "Jane Roe"
        try:
            raise ValueError("cannot text " + "+1415555" + "0142")
        except ValueError as error:
            assert patient_name
            sentry_sdk.capture_exception(error)
    (event,) = sent
    # The lines of this file that stand round the error are code, not data.
    for frame in event["exception"]["values"][0]["stacktrace"]["frames"]:
        assert "vars" not in frame
        for lines in ("pre_context", "context_line", "post_context"):
            frame.pop(lines, None)
    shown = json.dumps(event)
    for personal in ("Jane", "jane", "55501", "I am ill", "1.2.3.4"):
        assert personal not in shown
    assert event["user"] == {"id": "7"}
    assert event["contexts"]["call"]["duration"] == 12
    assert event["exception"]["values"][0]["value"] == "cannot text •••0142"


def test_a_request_is_reported_by_its_bare_address() -> None:
    event = scrub_event(
        {
            "request": {
                "method": "POST",
                "url": "https://clinic.example.com/a/very-secret-token?phone=%2B14155550142",
                "query_string": "phone=%2B14155550142",
                "data": {"patientName": "Jane Roe"},
                "cookies": {"sessionid": "abc"},
                "headers": {
                    "Authorization": "Bearer abc",
                    "X-Vapi-Secret": "s",
                    "Content-Type": "application/json",
                },
                "env": {"REMOTE_ADDR": "10.0.0.1"},
            }
        },
        None,
    )
    assert event["request"] == {
        "method": "POST",
        "url": "https://clinic.example.com/a/[hidden]",
        "headers": {"Content-Type": "application/json"},
        "env": {"REMOTE_ADDR": "10.0.0.1"},
    }


def test_log_entries_and_threads_are_scrubbed() -> None:
    event = scrub_event(
        {
            "logentry": {"message": "to %s", "formatted": "to +14155550142", "params": ["+14155550142"]},
            "message": "mail jane@example.com",
            "threads": {"values": [{"stacktrace": {"frames": [{"vars": {"phone": "1"}, "function": "f"}]}}]},
            "breadcrumbs": {"values": [{"message": "+14155550142", "data": {"body": "hello"}}]},
            "transaction": "/a/very-secret-token",
            "contexts": {"runtime": {"name": "CPython"}},
        },
        None,
    )
    assert event["contexts"]["runtime"]["name"] == "CPython"
    shown = json.dumps(event)
    for personal in ("55501", "jane", "hello", "vars", "very-secret"):
        assert personal not in shown


@pytest.mark.parametrize(
    "odd",
    [
        {"exception": None, "threads": None, "breadcrumbs": None},
        {"exception": {"values": [None, {"value": None}]}, "request": None, "user": None},
        {"contexts": "text", "logentry": "text", "breadcrumbs": []},
        {},
    ],
)
def test_an_odd_event_is_scrubbed_all_the_same(odd: dict[str, Any]) -> None:
    scrub_event(odd, None)


def test_a_refusal_by_a_rule_is_no_error_to_report(sent: list[dict[str, Any]]) -> None:
    sentry_sdk.capture_exception(DomainError("That hour is taken."))
    assert sent == []


def test_nothing_is_reported_where_no_address_is_set(settings: Settings) -> None:
    settings.SENTRY_DSN = ""
    assert error_reports.start() is False


def test_the_way_out_is_verified_also_where_nothing_is_configured(settings: Settings) -> None:
    settings.SENTRY_DSN = settings.SLACK_BOT_TOKEN = ""
    said = StringIO()
    call_command("verify_monitoring", stdout=said)
    assert said.getvalue().count(" arrived at a sandbox") == 2


def test_verifying_posts_to_a_configured_slack(settings: Settings) -> None:
    settings.SENTRY_DSN = ""
    with sink() as slack:
        settings.SLACK_BOT_TOKEN, settings.SLACK_API_BASE_URL = "xoxb-test", slack.slack_url
        said = StringIO()
        call_command("verify_monitoring", stdout=said)
    assert "arrived at channel #voxanne-alerts" in said.getvalue()
    assert "test message" in json.loads(slack.bodies[0])["text"]


def test_verifying_fails_where_slack_does_not_take_it(settings: Settings) -> None:
    settings.SENTRY_DSN = ""
    settings.SLACK_BOT_TOKEN, settings.SLACK_API_BASE_URL = "xoxb-test", "http://127.0.0.1:1"
    said = StringIO()
    with pytest.raises(SystemExit):
        call_command("verify_monitoring", stdout=said)
    assert "DID NOT ARRIVE" in said.getvalue()
