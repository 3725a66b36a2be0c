"""``make check``: everything that can be said about the code without running its tests."""

from __future__ import annotations

import base64
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from voxanne.runtime.output import Terminal
from voxanne.runtime.servers import ServerUrls, servers_held
from voxanne.runtime.set_up import StepFailed, manage, run_step
from voxanne.runtime.state import data_directory
from voxanne.runtime.stop_request import StopRequest, StopRequested


@dataclass(frozen=True)
class Check:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


def check() -> int:
    """Runs every check, also after one has failed; 1 if any did."""
    terminal, stop = Terminal(), StopRequest()
    stop.install()
    ours = {**os.environ, "VOXANNE_DATA_DIR": str(data_directory())}
    failed = []
    try:
        with servers_held(terminal.say) as urls:
            for item in checks(urls):
                if not _passes(item, {**ours, **item.environment}, terminal, stop):
                    failed.append(item.name)
    except StopRequested:
        return 130
    terminal.say(f"failed: {', '.join(failed)}" if failed else "every check passed")
    return 1 if failed else 0


def checks(urls: ServerUrls) -> list[Check]:
    python = [sys.executable, "-m"]
    return [
        Check("lint", [*python, "ruff", "check", "."]),
        Check("format", [*python, "ruff", "format", "--check", "."]),
        Check("types", [*python, "mypy", "."]),
        Check("migrations", manage("makemigrations", "--check", "--dry-run")),
        Check("deployment", manage("check", "--deploy", "--fail-level", "WARNING"), production_like(urls)),
        Check("API schema", manage("spectacular", "--validate", "--fail-on-warn", "--file", os.devnull)),
    ]


def production_like(urls: ServerUrls) -> dict[str, str]:
    """Settings that production would accept, with secrets made up for this one run."""
    made_up = ("SECRET_KEY", "CRON_SECRET", "MONITORING_TOKEN", "VAPI_WEBHOOK_SECRET", "JWT_SECRET")
    return {
        **{name: secrets.token_urlsafe(64) for name in made_up},
        "VOXANNE_ENV": "production",
        "ALLOWED_HOSTS": "clinic.example.com",
        "BACKEND_URL": "https://clinic.example.com",
        "DATABASE_URL": urls.database_url,
        "REDIS_URL": urls.redis_url,
        "CREDENTIAL_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "TWILIO_ACCOUNT_SID": f"AC{secrets.token_hex(16)}",
        "TWILIO_AUTH_TOKEN": secrets.token_hex(16),
    }


def _passes(item: Check, environment: Mapping[str, str], terminal: Terminal, stop: StopRequest) -> bool:
    try:
        with terminal.step(item.name):
            run_step(item.command, environment, stop)
    except StepFailed as failure:
        terminal.line(str(failure))
        return False
    return True
