from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from django.test import override_settings
from pytest_httpserver import HTTPServer

from telephony.vapi import control

OURS = "http://127.0.0.1:4020/vapi"

VAPIS = [
    "https://phone-call-websocket.aws-us-west-2-backend-production1.vapi.ai/5f1c/control",
    "https://api.vapi.ai/call/5f1c/control",
    "HTTPS://API.VAPI.AI/call/5f1c/control",
    "https://api.vapi.ai:443/control",
    "https://api.vapi.ai/control?token=a%2Fb",
]
HOSTILE = [
    "",
    " ",
    "api.vapi.ai/control",
    "//api.vapi.ai/control",
    "http://api.vapi.ai/control",
    "ftp://api.vapi.ai/control",
    "file:///etc/passwd",
    "javascript://api.vapi.ai/%0aalert(1)",
    "https://vapi.ai/control",
    "https://.vapi.ai/control",
    "https://vapi.ai.evil.example/control",
    "https://api.vapi.ai.evil.example/control",
    "https://evilvapi.ai/control",
    "https://evil-vapi.ai/control",
    "https://api.vapi.aix/control",
    "https://evil.example/.vapi.ai",
    "https://evil.example?.vapi.ai",
    "https://evil.example#.vapi.ai",
    "https://evil.example\\.vapi.ai/control",
    "https://evil.example\\@api.vapi.ai/control",
    "https://127.0.0.1\\.vapi.ai/control",
    "https://api.vapi.ai\\@evil.example/control",
    "https:\\\\api.vapi.ai\\control",
    "https://evil.example\t.vapi.ai/control",
    "https://evil.example\n.vapi.ai/control",
    "https://evil.example\r\nHost: x.vapi.ai",
    " https://api.vapi.ai/control",
    "https://api.vapi.ai/control with spaces",
    "https://evil.example%2f.vapi.ai/control",
    "https://evil.example%00.vapi.ai/control",
    "https://evil.example;.vapi.ai/control",
    "https://evil_host.vapi.ai/control",
    "https://api.vapi.ai./control",
    "https://api..vapi.ai/control",
    "https://-.vapi.ai/control",
    "https://api.vapi.ai@evil.example/control",
    "https://evil.example:x@api.vapi.ai/control",
    "https://user@api.vapi.ai/control",
    "https://:password@api.vapi.ai/control",
    "https://@evil.example/api.vapi.ai",
    "https://api.vapi.ai:8443/control",
    "https://api.vapi.ai:80/control",
    "https://api.vapi.ai:0/control",
    "https://api.vapi.ai:99999/control",
    "https://api.vapi.ai:ssl/control",
    "https://169.254.169.254/latest/meta-data",
    "https://[::1]/control",
    "https://[::1].vapi.ai/control",
    "https://[api.vapi.ai/control",
    "https://2130706433/control",
    "https://localhost/control",
    "https://api。vapi。ai/control",
    "https://api.vapi.ai\uff0fcontrol",
    "https://evil.example\uff0f.vapi.ai/control",
    "https://аpi.vapi.ai/control",
    "http://127.0.0.1:4020@evil.example/vapi/control/1",
    "http://127.0.0.1:40200/vapi/control/1",
    "http://127.0.0.1/vapi/control/1",
    "https://127.0.0.1:4020/vapi/control/1",
    "http://localhost:4020/vapi/control/1",
    "http://127.0.0.1:4020\\.vapi.ai/control/1",
    "http://user:password@127.0.0.1:4020/vapi/control/1",
]


@pytest.fixture
def recorder(httpserver: HTTPServer) -> Iterator[HTTPServer]:
    """A server at the origin that VAPI_API_BASE_URL names."""
    with override_settings(VAPI_API_BASE_URL=httpserver.url_for("/vapi"), PRODUCTION=False):
        yield httpserver


@pytest.mark.parametrize("address", VAPIS)
@pytest.mark.parametrize("production", [True, False])
def test_vapis_own_addresses_are_used(address: str, production: bool) -> None:
    with override_settings(VAPI_API_BASE_URL=OURS, PRODUCTION=production):
        assert control.is_allowed(address)


@pytest.mark.parametrize("address", HOSTILE)
@pytest.mark.parametrize("production", [True, False])
def test_no_other_address_is_used(address: str, production: bool) -> None:
    with override_settings(VAPI_API_BASE_URL=OURS, PRODUCTION=production):
        assert not control.is_allowed(address)


def test_the_configured_origin_is_used_outside_production_only() -> None:
    with override_settings(VAPI_API_BASE_URL=OURS, PRODUCTION=False):
        assert control.is_allowed("http://127.0.0.1:4020/vapi/control/1")
    with override_settings(VAPI_API_BASE_URL=OURS, PRODUCTION=True):
        assert not control.is_allowed("http://127.0.0.1:4020/vapi/control/1")


def test_nothing_is_sent_to_an_address_that_is_not_vapis(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(requests, "post", lambda address, **_: asked.append(address))
    for address in HOSTILE:
        with (
            override_settings(VAPI_API_BASE_URL=OURS, PRODUCTION=True),
            pytest.raises(control.ControlFault) as fault,
        ):
            control.send(address, {"type": "end-call"})
        assert fault.value.permanent
    assert asked == []


def test_a_command_goes_out_as_json(recorder: HTTPServer) -> None:
    command = {"type": "transfer", "destination": {"type": "number", "number": "+14155550199"}}
    recorder.expect_oneshot_request("/vapi/control/1", method="POST", json=command).respond_with_json({})
    control.send(recorder.url_for("/vapi/control/1"), command)
    recorder.check_assertions()


def test_a_redirect_is_not_followed(recorder: HTTPServer) -> None:
    answer = {"status": 307, "headers": {"Location": recorder.url_for("/elsewhere")}}
    recorder.expect_request("/vapi/control/1").respond_with_data("", **answer)  # type: ignore[arg-type]
    with pytest.raises(control.ControlFault) as fault:
        control.send(recorder.url_for("/vapi/control/1"), {"type": "end-call"})
    assert fault.value.permanent
    assert [request.path for request, _ in recorder.log] == ["/vapi/control/1"]


@pytest.mark.parametrize(
    ("status", "permanent"), [(404, True), (410, True), (400, True), (429, False), (500, False), (503, False)]
)
def test_only_what_may_pass_is_tried_again(recorder: HTTPServer, status: int, permanent: bool) -> None:
    recorder.expect_request("/vapi/control/1").respond_with_data("", status=status)
    with pytest.raises(control.ControlFault) as fault:
        control.send(recorder.url_for("/vapi/control/1"), {"type": "end-call"})
    assert fault.value.permanent is permanent


def test_a_server_that_cannot_be_reached_is_tried_again() -> None:
    with (
        override_settings(VAPI_API_BASE_URL="http://127.0.0.1:1", PRODUCTION=False),
        pytest.raises(control.ControlFault) as fault,
    ):
        control.send("http://127.0.0.1:1/vapi/control/1", {"type": "end-call"})
    assert not fault.value.permanent
