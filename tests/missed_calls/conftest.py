from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache

from tests.clinics import Clinic
from tests.missed_calls.house import House
from tests.missed_calls.twilio_post import set_up
from tests.sandbox.conftest import sandbox, sandbox_process
from tests.sandbox.running import ACCOUNT_SID, AUTH_TOKEN, RunningSandbox
from tests.tenancy.kept_clean import leave_nothing, quick_passwords

__all__ = ["leave_nothing", "quick_passwords", "sandbox", "sandbox_process"]


@pytest.fixture
def house(
    transactional_db: None, live_server: Any, elm: Clinic, sandbox: RunningSandbox, settings: Any
) -> Iterator[House]:
    """Elm Street behind a web server of its own, with a Twilio of these tests' own before it."""
    settings.BACKEND_URL = live_server.url
    settings.TWILIO_API_BASE_URL = f"{sandbox.url}/twilio"
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = ACCOUNT_SID, AUTH_TOKEN
    settings.TWILIO_API_KEY = settings.TWILIO_API_SECRET = ""
    settings.TWILIO_TIMEOUT = (1.0, 1.5)
    settings.SANDBOX_URL = sandbox.url
    # A receipt that comes while a test is being cleared away would be in the way of that.
    sandbox.control("/settings", {"receipt_statuses": []})
    set_up(elm, mode="forward")
    built = House(elm, sandbox, live_server.url)
    built.connect_number()
    yield built
    cache.clear()
