from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

PLATFORM_TABLES = ("heartbeats",)


@pytest.fixture(autouse=True)
def _empty_platform_tables(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests that commit leave nothing behind for those after them."""
    yield
    marker = request.node.get_closest_marker("django_db")
    if marker is not None and marker.kwargs.get("transaction"):
        blocker = request.getfixturevalue("django_db_blocker")
        with blocker.unblock(), connection.cursor() as cursor:
            for table in PLATFORM_TABLES:
                cursor.execute(f"DELETE FROM {table}")
