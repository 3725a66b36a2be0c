from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clinics import Clinic
from tests.recordings.archive import Archive
from tests.sandbox.conftest import sandbox, sandbox_process
from tests.sandbox.running import RunningSandbox
from tests.tenancy.kept_clean import leave_nothing, quick_passwords

__all__ = ["leave_nothing", "quick_passwords", "sandbox", "sandbox_process"]


@pytest.fixture(autouse=True)
def _plain_files(settings: Any) -> None:
    """Pages are rendered without collected static files."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}


@pytest.fixture
def archive(
    transactional_db: None, elm: Clinic, sandbox: RunningSandbox, settings: Any, tmp_path: Path
) -> Archive:
    """Elm Street, which keeps recordings, with a Vapi and a folder of these tests' own."""
    settings.VAPI_API_BASE_URL = f"{sandbox.url}/vapi"
    settings.VAPI_API_KEY = "private-key"
    settings.MEDIA_ROOT = tmp_path / "media"
    sandbox.control("/vapi/keys", {"keys": ["private-key"]})
    made = Archive(elm, sandbox, tmp_path / "media")
    made.keep_recordings()
    return made
