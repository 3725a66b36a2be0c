"""Journeys in real Chromium against a live server. Without Chromium they are skipped, in one line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Browser, Page, sync_playwright

from tests.clinics import Clinic, make_clinic
from tests.sandbox.conftest import sandbox, sandbox_process
from tests.staff.rows import Furnished, furnish
from voxanne.tenancy.models import User
from voxanne.tenancy.scope import platform_scope

__all__ = ["sandbox", "sandbox_process"]

PASSWORD = "correct horse battery"
NAMES = ("chromium", "chromium-browser", "google-chrome")
# Playwright runs an event loop in this thread, which Django takes for asynchronous code of ours.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = next((path for name in NAMES if (path := shutil.which(name))), None)
    if chromium is None:
        pytest.skip("Chromium is not installed: `apt-get install chromium`.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh person's window. Whatever the page reports as an error fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    context.set_default_timeout(10_000)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert faults == []


@pytest.fixture(autouse=True)
def _plain(settings: Any) -> None:
    """Static files come from where they lie, and passwords are hashed without care."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def clinic(transactional_db: None, _plain: None) -> Iterator[Clinic]:
    """A clinic whose rows are really committed, so that the live server sees them; they go with the test."""
    with platform_scope("test data"):
        made = make_clinic("elm-street", timezone="America/New_York", country="US")
    yield made
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE organizations, users CASCADE")


@pytest.fixture
def furnished(clinic: Clinic) -> Furnished:
    return furnish(clinic)


@pytest.fixture
def operator(clinic: Clinic) -> User:
    return User.objects.create_superuser("operator", password=PASSWORD)


def sign_in(page: Page, address: str, username: str) -> None:
    """Types name and password and arrives at the start page."""
    page.goto(f"{address}/admin/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{address}/admin/")
