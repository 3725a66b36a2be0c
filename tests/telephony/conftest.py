from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from tests.clinics import Clinic
from tests.telephony.vapi_client import VapiCaller


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Settings) -> None:
    """Nobody signs in here: hashing the staff's passwords in earnest would be most of the suite's time."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def call(elm: Clinic) -> VapiCaller:
    """A call at Elm Street, with that clinic's credential."""
    return VapiCaller(elm)
