"""A first look at servers that the environment names: do they answer, and can this product run on them?"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import psycopg
import redis

from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.servers import external_url
from voxanne.runtime.state import POSTGRES, VALKEY

CONNECT_SECONDS = 5


def check_external_servers() -> None:
    """Raises RuntimeFault, naming the setting and what to do; says nothing of the URL but its host."""
    database_url, redis_url = external_url(POSTGRES), external_url(VALKEY)
    if database_url:
        _check_database(database_url)
    if redis_url:
        _check_redis(redis_url)


def _check_database(url: str) -> None:
    parts = urlsplit(url)
    where = f"{parts.hostname or 'localhost'}:{parts.port or 5432}"
    try:
        # Query words of the URL are Django's, not libpq's.
        connection = psycopg.connect(
            host=parts.hostname,
            port=parts.port,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            dbname=unquote(parts.path.lstrip("/")) or None,
            connect_timeout=CONNECT_SECONDS,
        )
    except psycopg.OperationalError as error:
        raise RuntimeFault(
            f"DATABASE_URL: no way into {where} ({_first_line(error)}). Start it, or unset DATABASE_URL."
        ) from error
    with connection:
        found = connection.execute(
            "SELECT 1 FROM pg_available_extensions WHERE name = 'btree_gist'"
        ).fetchone()
    if not found:
        raise RuntimeFault(
            f"The PostgreSQL at {where} lacks the extension btree_gist: install its contrib package."
        )


def _check_redis(url: str) -> None:
    client = redis.Redis.from_url(url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=CONNECT_SECONDS)
    try:
        client.ping()
    except (redis.RedisError, ValueError) as error:
        host = urlsplit(url).hostname or "localhost"
        raise RuntimeFault(
            f"REDIS_URL: {host} does not answer ({_first_line(error)}). Start it, or unset REDIS_URL."
        ) from error
    finally:
        client.close()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
