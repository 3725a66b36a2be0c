from __future__ import annotations

import pytest
from django.db import connection

from voxanne.tenancy.bound_role import serving_role

pytestmark = pytest.mark.django_db


def test_the_suite_runs_as_the_bound_role() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
        assert cursor.fetchone() == (serving_role(), False)


def test_the_bound_role_owns_no_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tableowner = current_user"
        )
        assert cursor.fetchone() == (0,)
