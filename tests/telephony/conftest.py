"""The clinics of these tests are made once a module: making them for each of its cases would be most of its time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from tests.clinics import Clinic, make_clinic
from tests.telephony.vapi_client import VapiCaller
from voxanne.tenancy.models import Organization
from voxanne.tenancy.scope import org_scope, platform_scope

_versions = itertools.count(1_000, 1_000)


@pytest.fixture(scope="module")
def clinics(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[dict[str, Clinic]]:
    """Elm Street and Oak Road, for all tests of a module; what a test changes is rolled back with it."""
    # Nobody signs in here, so the staff's passwords need not be hashed in earnest.
    quick = override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"])
    with django_db_blocker.unblock(), quick, platform_scope("test data"):
        made = {
            "elm": make_clinic("elm-street", timezone="America/New_York", country="US"),
            "oak": make_clinic("oak-road", timezone="Europe/London", country="GB"),
        }
    yield made
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE organizations, users CASCADE")


def _for_one_test(clinic: Clinic) -> Clinic:
    """A plan is cached by its version, and a rolled-back version may come again: each test gets one of its own."""
    with org_scope(clinic.id):
        Organization.objects.filter(pk=clinic.id).update(plan_version=next(_versions))
    return clinic


@pytest.fixture
def elm(db: None, clinics: dict[str, Clinic]) -> Clinic:
    """A clinic in New York with two providers."""
    return _for_one_test(clinics["elm"])


@pytest.fixture
def oak(db: None, clinics: dict[str, Clinic]) -> Clinic:
    """Another clinic, in London: the stranger in every test of isolation."""
    return _for_one_test(clinics["oak"])


@pytest.fixture
def call(elm: Clinic) -> VapiCaller:
    """A call at Elm Street, with that clinic's credential."""
    return VapiCaller(elm)
