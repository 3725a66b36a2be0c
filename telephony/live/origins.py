"""Which pages may open a socket: a browser sends the session's cookie along from any page, but never lies about
which page that is."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from django.conf import settings

STANDARD_PORTS = {"http": 80, "https": 443}
Origin = tuple[str, str, int]


def is_allowed(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether there is one ``Origin`` and it is one of ours."""
    given = [value.decode("latin-1") for name, value in headers if name.lower() == b"origin"]
    if len(given) != 1:
        return False
    origin = origin_of(given[0])
    return origin is not None and origin in allowed_origins()


def allowed_origins() -> frozenset[Origin]:
    named = (settings.FRONTEND_URL, settings.BACKEND_URL, *settings.CORS_ALLOWED_ORIGINS)
    return frozenset(origin for origin in map(origin_of, named) if origin is not None)


def origin_of(address: str) -> Origin | None:
    """Scheme, host and port of an address; None for what has none, such as the ``null`` of a sandboxed page."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in STANDARD_PORTS or not parts.hostname or parts.username is not None:
        return None
    return parts.scheme, parts.hostname, port or STANDARD_PORTS[parts.scheme]
