"""Django's PostgreSQL backend, asked for less: a kept connection is looked at, not questioned, before it is used.

Django proves a kept connection with ``SELECT 1`` at its first use in every request: a round trip before a caller's own.
A server that closed the connection (restarted, or ended the session) has said so to the socket, and an idle
one that says nothing is fit for use; only where something waits to be read is the server asked.
"""

from __future__ import annotations

import select

import psycopg
from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """The backend's name in the settings is ``voxanne.database``."""

    def is_usable(self) -> bool:
        connection = self.connection
        if connection is None or connection.closed:
            return False
        return is_quiet(connection) or bool(super().is_usable())


def is_quiet(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    """Whether nothing waits to be read: no parting word, and no end of the stream."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)
