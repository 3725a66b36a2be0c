from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from messaging.sending import circuit
from monitoring import breaker, transitions
from monitoring.circuits_in_redis import CircuitsInRedis
from tests.clinics import Clinic
from tests.messaging.desk import Desk
from tests.sandbox.conftest import sandbox, sandbox_process
from tests.sandbox.running import RunningSandbox
from tests.tenancy.kept_clean import leave_nothing, quick_passwords

__all__ = ["leave_nothing", "quick_passwords", "sandbox", "sandbox_process"]


@pytest.fixture(autouse=True)
def circuits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Circuits that go by the test's clock, and what became of them: level, state. They are not written down: that
    is done on another thread, which sees no test's rows."""
    seen: list[tuple[str, str]] = []
    monkeypatch.setattr(breaker, "shared", CircuitsInRedis(clock=lambda: timezone.now().timestamp()))
    monkeypatch.setattr(circuit, "_put_off_at", {})
    monkeypatch.setattr(
        transitions,
        "note",
        lambda service, org_id, made, *, shared: seen.append((made.level.value, made.state.value)),
    )
    return seen


@pytest.fixture
def gate(sandbox: RunningSandbox) -> Iterator[dict[str, Any]]:
    """The way to the sandbox, which can be shut: ``{port, base_url}``."""
    opened: dict[str, Any] = sandbox.control("/gates", {})
    yield opened
    sandbox.control(f"/gates/{opened['port']}/open", {})


@pytest.fixture
def desk(elm: Clinic, sandbox: RunningSandbox, gate: dict[str, Any], settings: Any) -> Desk:
    """Elm Street's texts, sent by the real client over real sockets to a Twilio of these tests' own."""
    settings.TWILIO_API_BASE_URL = f"{gate['base_url']}/twilio"
    settings.TWILIO_TIMEOUT = (1.0, 1.0)
    return Desk(elm, sandbox, gate["port"])
