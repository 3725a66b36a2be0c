"""The caller's network address, seen through as many proxies as we run, and no further."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest

UNKNOWN_ADDRESS = "0.0.0.0"  # noqa: S104  (a key for counters, nothing is bound to it)


def client_address(request: HttpRequest) -> str:
    """The address that the outermost of our own ``TRUSTED_PROXY_COUNT`` proxies saw, in its shortest form;
    the direct one where a proxy was passed by or wrote no address."""
    direct = _address(str(request.META.get("REMOTE_ADDR") or "")) or UNKNOWN_ADDRESS
    proxies: int = settings.TRUSTED_PROXY_COUNT
    if not proxies:
        return direct
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    return (_address(hops[-proxies]) if len(hops) >= proxies else None) or direct


def _address(text: str) -> str | None:
    """Some proxies add the port: 203.0.113.7:4711 and [2001:db8::1]:4711 are addresses too."""
    bare = text
    if text.startswith("["):
        bare = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        bare = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
