"""Settings from the environment: read strictly, and refused all at once where production could not serve."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from voxanne.environment import (
    BackendUrl,
    Environment,
    is_reachable_from_outside,
    production_faults,
    resolve_backend_url,
)

ROOT = Path(__file__).resolve().parent.parent
KEY = base64.urlsafe_b64encode(b"k" * 32).decode()


def environment(**values: str) -> Environment:
    return Environment(values)


# One value


@pytest.mark.parametrize("blank", ["", "   ", "\t\n"])
def test_blank_is_unset(blank: str) -> None:
    env = environment(NAME=blank)
    assert env.optional("NAME") is None
    assert env.text("NAME", "otherwise") == "otherwise"
    assert env.integer("NAME", 7) == 7
    assert env.boolean("NAME", True) is True
    assert env.words("NAME", ("one",)) == ["one"]
    assert env.choice("NAME", ("a", "b"), "b") == "b"
    assert env.faults == []


def test_spaces_around_a_value_are_dropped() -> None:
    assert environment(NAME="  value ").optional("NAME") == "value"


@pytest.mark.parametrize("word", ["1", "true", "YES", "On"])
def test_words_for_yes(word: str) -> None:
    assert environment(NAME=word).boolean("NAME", False) is True


@pytest.mark.parametrize("word", ["0", "False", "no", "OFF"])
def test_words_for_no(word: str) -> None:
    assert environment(NAME=word).boolean("NAME", True) is False


def test_a_list_drops_its_blanks() -> None:
    assert environment(NAME=" a, ,b ,").words("NAME") == ["a", "b"]
    assert environment().words("NAME") == []


@pytest.mark.parametrize("number", ["0", "-3", "5432"])
def test_whole_numbers(number: str) -> None:
    assert environment(NAME=number).integer("NAME", 1) == int(number)


def test_what_cannot_be_read_is_collected_and_not_guessed_at() -> None:
    env = environment(NUMBER="many", SWITCH="perhaps", COLOUR="green")
    assert env.integer("NUMBER", 1) == 1
    assert env.boolean("SWITCH", False) is False
    assert env.choice("COLOUR", ("red", "blue"), "red") == "red"
    assert env.faults == [
        "NUMBER must be a whole number.",
        "SWITCH must be one of 1, 0, true, false, yes, no, on, off.",
        "COLOUR must be one of: red, blue.",
    ]


# Secrets in files


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("  of the file\n")
    assert environment(NAME_FILE=str(path)).optional("NAME") == "of the file"


def test_a_value_goes_before_its_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("of the file")
    assert (
        environment(NAME="of the environment", NAME_FILE=str(path)).optional("NAME") == "of the environment"
    )


def test_a_blank_file_is_unset(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(" \n")
    assert environment(NAME_FILE=str(path)).optional("NAME") is None


def test_a_file_that_is_not_there_or_no_text_is_a_fault_and_not_a_crash(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    env = environment(ONE_FILE=str(tmp_path / "nowhere"), TWO_FILE=str(binary), THREE_FILE=str(tmp_path))
    assert [env.optional(name) for name in ("ONE", "TWO", "THREE")] == [None, None, None]
    assert env.faults == [
        "ONE_FILE cannot be read: No such file or directory.",
        "TWO_FILE cannot be read: it is not UTF-8 text.",
        "THREE_FILE cannot be read: Is a directory.",
    ]


# Our public address


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"BACKEND_URL": "https://a.example", "RENDER_EXTERNAL_URL": "https://b.example"},
         BackendUrl("https://a.example", "BACKEND_URL")),
        ({"RENDER_EXTERNAL_URL": "https://b.example", "BASE_URL": "https://c.example"},
         BackendUrl("https://b.example", "RENDER_EXTERNAL_URL")),
        ({"BASE_URL": "https://c.example"}, BackendUrl("https://c.example", "BASE_URL")),
        ({}, BackendUrl("http://localhost:8123", "default")),
        ({"BACKEND_URL": "  ", "BASE_URL": "https://c.example"}, BackendUrl("https://c.example", "BASE_URL")),
        ({"BACKEND_URL": "https://a.example/"}, BackendUrl("https://a.example", "BACKEND_URL")),
        ({"BACKEND_URL": "https://a.example/base//"}, BackendUrl("https://a.example/base", "BACKEND_URL")),
        ({"BACKEND_URL": "/", "BASE_URL": "https://c.example"}, BackendUrl("https://c.example", "BASE_URL")),
    ],
)  # fmt: skip
def test_the_public_address_comes_from_the_first_that_names_one(
    values: dict[str, str], expected: BackendUrl
) -> None:
    assert resolve_backend_url(Environment(values), 8123) == expected


def test_the_public_address_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("https://a.example/\n")
    assert resolve_backend_url(environment(BACKEND_URL_FILE=str(path)), 1).url == "https://a.example"


@pytest.mark.parametrize(
    ("url", "reachable"),
    [
        ("https://clinic.example.com", True), ("https://localhosting.example.com", True), ("https://10.0.0.5", True),
        ("https://myngrok.example.com", True), ("https://localhost", False), ("https://localhost.:8000", False),
        ("https://api.localhost", False), ("https://127.0.0.1:8000", False), ("https://127.9.9.9", False),
        ("https://[::1]:8000", False), ("https://0.0.0.0", False), ("https://abc.ngrok.io", False),
        ("https://abc.ngrok-free.app", False), ("https://", False), ("clinic.example.com", False),
        ("https://[half", False),
    ],
)  # fmt: skip
def test_a_tunnel_and_this_machine_are_not_reachable_from_outside(url: str, reachable: bool) -> None:
    assert is_reachable_from_outside(url) == reachable


# What production refuses


def faults(**changes: Any) -> list[str]:
    given = {
        "backend_url": BackendUrl("https://clinic.example.com", "BACKEND_URL"),
        "required": {"SECRET_KEY": "something long", "CREDENTIAL_ENCRYPTION_KEYS": KEY},
        "known_defaults": frozenset({"development-secret"}),
        **changes,
    }
    return production_faults(**given)


def test_settings_that_can_serve_have_no_fault() -> None:
    assert faults() == []


@pytest.mark.parametrize("value", [None, ""])
def test_what_is_missing_is_named(value: str | None) -> None:
    assert faults(required={"CRON_SECRET": value}) == ["CRON_SECRET is required in production."]


@pytest.mark.parametrize("value", ["development-secret", "other,development-secret"])
def test_a_known_default_is_named(value: str) -> None:
    assert faults(required={"CRON_SECRET": value}) == [
        "CRON_SECRET is a known default: set a secret of your own."
    ]


@pytest.mark.parametrize("keys", ["short", "not base64 at all!", f"{KEY},short", KEY[:-4] + "===="])
def test_a_key_that_encrypts_nothing_is_named(keys: str) -> None:
    (fault,) = faults(required={"CREDENTIAL_ENCRYPTION_KEYS": keys})
    assert fault.startswith("CREDENTIAL_ENCRYPTION_KEYS must be keys of 32 bytes")


def test_several_keys_are_taken_newest_first() -> None:
    assert faults(required={"CREDENTIAL_ENCRYPTION_KEYS": f"{KEY}, {KEY},"}) == []


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("http://clinic.example.com", ["BACKEND_URL must begin with https://."]),
        ("https://localhost:8000", ["BACKEND_URL must be reachable from outside"]),
        ("http://abc.ngrok.io", ["BACKEND_URL must begin with https://.", "BACKEND_URL must be reachable"]),
    ],
)
def test_an_address_that_providers_cannot_call_safely_is_named(url: str, named: list[str]) -> None:
    found = faults(backend_url=BackendUrl(url, "BACKEND_URL"))
    assert len(found) == len(named)
    assert all(fault.startswith(start) for fault, start in zip(found, named, strict=True))


def start(**values: str) -> subprocess.CompletedProcess[str]:
    """The settings, read anew in an environment that holds these values alone."""
    program = "import voxanne.settings as s; print(s.BACKEND_URL, s.VOXANNE_ENV)"
    return subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **values},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


REQUIRED = (
    "SECRET_KEY", "ALLOWED_HOSTS", "BACKEND_URL", "DATABASE_URL", "REDIS_URL", "CRON_SECRET", "MONITORING_TOKEN",
    "CREDENTIAL_ENCRYPTION_KEYS", "VAPI_WEBHOOK_SECRET", "JWT_SECRET or JWT_JWKS_URL",
)  # fmt: skip


def test_production_names_everything_that_is_missing_at_once() -> None:
    ran = start(VOXANNE_ENV="production", PORT="eighty", MONITORING_TOKEN_FILE="/nowhere")
    assert ran.returncode != 0
    for name in REQUIRED:
        assert f"{name} is required in production." in ran.stderr, name
    assert "PORT must be a whole number." in ran.stderr
    assert "MONITORING_TOKEN_FILE cannot be read" in ran.stderr
    assert "BACKEND_URL must begin with https://." in ran.stderr


def test_production_refuses_the_secrets_of_development() -> None:
    values = {
        "SECRET_KEY": "development-only-secret-key-that-signs-nothing-of-value",
        "CRON_SECRET": "development-cron-secret",
        "CREDENTIAL_ENCRYPTION_KEYS": "ZGV2ZWxvcG1lbnQtb25seS1rZXktMDEyMzQ1Njc4OSE=",
        "JWT_SECRET": "development-jwt-secret-of-at-least-32-bytes",
    }
    ran = start(VOXANNE_ENV="production", **values)
    assert ran.returncode != 0
    for name in ("SECRET_KEY", "CRON_SECRET", "CREDENTIAL_ENCRYPTION_KEYS", "JWT_SECRET or JWT_JWKS_URL"):
        assert f"{name} is a known default: set a secret of your own." in ran.stderr, name


def production(tmp_path: Path) -> dict[str, str]:
    secret = tmp_path / "secret-key"
    secret.write_text("a secret that stands in a file, long enough to sign with\n")
    return {
        "VOXANNE_ENV": "production",
        "SECRET_KEY_FILE": str(secret),
        "ALLOWED_HOSTS": "clinic.example.com",
        "BACKEND_URL": "https://clinic.example.com/",
        "DATABASE_URL": "postgresql://someone:secret@db.example.com/voxanne",
        "REDIS_URL": "redis://redis.example.com/0",
        "CRON_SECRET": "one", "MONITORING_TOKEN": "two", "VAPI_WEBHOOK_SECRET": "three", "JWT_SECRET": "four",
        "CREDENTIAL_ENCRYPTION_KEYS": KEY,
    }  # fmt: skip


def test_production_starts_with_everything_that_it_needs(tmp_path: Path) -> None:
    ran = start(**production(tmp_path))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "https://clinic.example.com production"


def test_the_keys_of_an_issuer_may_stand_for_a_secret_of_ours(tmp_path: Path) -> None:
    values = production(tmp_path)
    del values["JWT_SECRET"]
    assert start(**values, JWT_JWKS_URL="https://issuer.example.com/keys").returncode == 0
    assert start(**values).returncode != 0


def test_development_starts_with_nothing_set(tmp_path: Path) -> None:
    ran = start(VOXANNE_DATA_DIR=str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "http://localhost:8000 development"


def test_a_refusal_shows_no_secret(tmp_path: Path) -> None:
    values = production(tmp_path) | {
        "BACKEND_URL": "http://localhost",
        "CRON_SECRET": "development-cron-secret",
    }
    ran = start(**values)
    assert ran.returncode != 0
    assert "someone:secret" not in ran.stderr
    assert "stands in a file" not in ran.stderr
