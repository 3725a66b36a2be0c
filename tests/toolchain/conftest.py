"""A Vapi of these tests' own, as a clinic's set-up there would have left it, reached over real sockets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clinics import Clinic
from tests.sandbox.conftest import sandbox, sandbox_process
from tests.sandbox.running import RunningSandbox
from tests.telephony.conftest import clinics, elm, oak
from tests.toolchain.at_vapi import AtVapi

__all__ = ["clinics", "elm", "oak", "sandbox", "sandbox_process"]


@pytest.fixture
def at_vapi(sandbox: RunningSandbox, settings: Any) -> AtVapi:
    settings.BACKEND_URL = "https://voxanne.example"
    settings.VAPI_API_BASE_URL = f"{sandbox.url}/vapi"
    settings.VAPI_API_KEY = "private-key"
    return AtVapi(sandbox)


@pytest.fixture
def known(at_vapi: AtVapi, elm: Clinic, oak: Clinic) -> AtVapi:
    """A Vapi that has both clinics' assistants and numbers, as a person made them there."""
    for clinic in (elm, oak):
        at_vapi.set_up(clinic)
    return at_vapi
