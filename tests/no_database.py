"""A database that cannot be reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from pytest_django.plugin import DjangoDbBlocker


@contextmanager
def database_away(blocker: DjangoDbBlocker) -> Iterator[None]:
    """Connections go to a port on which nobody listens."""
    known = connection.settings_dict
    with blocker.unblock():
        connection.close()
        connection.settings_dict = {**known, "HOST": "127.0.0.1", "PORT": "1"}
        yield
        connection.close()
        connection.settings_dict = known
