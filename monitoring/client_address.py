"""The caller's network address, seen through as many proxies as we run, and no further."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

UNKNOWN_ADDRESS = "0.0.0.0"  # noqa: S104  (a key for counters, nothing is bound to it)


def client_address(request: HttpRequest) -> str:
    """The address that the outermost of our own ``TRUSTED_PROXY_COUNT`` proxies saw."""
    direct = request.META.get("REMOTE_ADDR") or UNKNOWN_ADDRESS
    proxies: int = settings.TRUSTED_PROXY_COUNT
    if not proxies:
        return str(direct)
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    return hops[-proxies] if len(hops) >= proxies else str(direct)
