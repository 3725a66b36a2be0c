"""Two furnished clinics, and people signed in to staff pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.clinics import Clinic
from tests.staff.rows import Furnished, furnish
from voxanne.tenancy.models import User

SignIn = Callable[[User], Client]


@pytest.fixture(autouse=True)
def _quick(settings: Any) -> None:
    """Pages are rendered without collected static files, and passwords are hashed without care."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def sign_in(db: None) -> SignIn:
    """Signs a person in and returns their browser."""

    def signed_in(person: User) -> Client:
        client = Client()
        client.force_login(person, backend="voxanne.tenancy.permissions.MembershipBackend")
        return client

    return signed_in


@pytest.fixture
def elms(elm: Clinic) -> Furnished:
    return furnish(elm)


@pytest.fixture
def oaks(oak: Clinic) -> Furnished:
    return furnish(oak)


@pytest.fixture
def operator(db: None) -> User:
    return User.objects.create_superuser("operator", password="correct horse battery")
