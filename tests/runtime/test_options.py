from __future__ import annotations

from pathlib import Path

import pytest

from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.launcher import summary
from voxanne.runtime.options import StackOptions, stack_environment, stack_options

NAMES = ("PORT", "WS_PORT", "SANDBOX_PORT", "DEMO_CALL", "BACKEND_URL", "RENDER_EXTERNAL_URL", "BASE_URL")
PROVIDERS = {
    "TWILIO_API_BASE_URL": "/twilio",
    "VAPI_API_BASE_URL": "/vapi",
    "GOOGLE_API_BASE_URL": "/google",
    "GOOGLE_TOKEN_URL": "/google/token",
    "GOOGLE_AUTH_URL": "/google/auth",
    "SLACK_API_BASE_URL": "/slack",
}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, *PROVIDERS):
        monkeypatch.delenv(name, raising=False)


def test_without_any_setting_the_ports_are_the_documented_ones() -> None:
    options = stack_options()
    assert (options.port, options.ws_port, options.sandbox_port) == (8000, 8001, 4020)
    assert options.demo_call


def test_sockets_follow_the_web_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8100")
    assert stack_options().ws_port == 8101


def test_the_demo_call_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_CALL", "0")
    assert not stack_options().demo_call


def test_every_unusable_option_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "eighty")
    monkeypatch.setenv("SANDBOX_PORT", "70000")
    with pytest.raises(RuntimeFault) as caught:
        stack_options()
    assert "PORT must be a whole number" in str(caught.value)
    assert "SANDBOX_PORT must be between 1 and 65535" in str(caught.value)


def test_two_servers_cannot_share_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_PORT", "8000")
    with pytest.raises(RuntimeFault, match="must differ"):
        stack_options()


@pytest.mark.parametrize(("name", "path"), PROVIDERS.items())
def test_providers_are_the_sandbox_unless_they_are_named(
    options: StackOptions, monkeypatch: pytest.MonkeyPatch, name: str, path: str
) -> None:
    assert stack_environment(options)[name] == f"http://127.0.0.1:18803{path}"
    monkeypatch.setenv(name, "")
    assert stack_environment(options)[name] == f"http://127.0.0.1:18803{path}"
    monkeypatch.setenv(name, "https://elsewhere.example.com")
    assert stack_environment(options)[name] == "https://elsewhere.example.com"


def test_our_own_address_is_this_machine_unless_it_is_named(
    options: StackOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stack_environment(options)["BACKEND_URL"] == "http://localhost:18801"
    monkeypatch.setenv("BASE_URL", "https://clinic.example.com/")
    assert stack_environment(options)["BACKEND_URL"] == "https://clinic.example.com"


def test_ports_and_data_folder_reach_every_process(options: StackOptions, tmp_path: Path) -> None:
    environment = stack_environment(options)
    assert (environment["PORT"], environment["WS_PORT"], environment["SANDBOX_PORT"]) == (
        "18801",
        "18802",
        "18803",
    )
    assert environment["VOXANNE_DATA_DIR"] == str(tmp_path)


def test_the_summary_names_addresses_and_every_login(options: StackOptions) -> None:
    staff = [{"role": "owner", "username": "ada", "password": "secret-1"}]
    seeded = {
        "platform": {"username": "operator", "password": "secret-0"},
        "clinics": [{"name": "Elm Street", "timezone": "America/New_York", "staff": staff}],
    }
    text = "\n".join(summary(options, seeded))
    for words in ("http://localhost:18801/admin/", "operator / secret-0", "Elm Street", "ada / secret-1"):
        assert words in text
