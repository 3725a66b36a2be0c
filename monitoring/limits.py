"""How often one caller may ask (contract, section 2): counted by django-ratelimit in Redis, in fixed windows.

A fixed window lets up to twice the rate through at its edge; that is accepted. Where Redis is away nothing
can be counted: then a limit lets everyone through, or no one, as its policy says. Callers on the phone are
never refused for our Redis.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django_ratelimit.core import get_usage

from monitoring.client_address import client_address
from monitoring.errors import error_response

View = TypeVar("View", bound=Callable[..., HttpResponseBase])

# django-ratelimit's sign that its cache did not answer.
UNCOUNTED = -1


@dataclass(frozen=True, slots=True)
class Limit:
    """``name`` finds the rate in ``RATE_LIMITS``; ``open_without_redis``: what to do when nothing can be counted."""

    name: str
    open_without_redis: bool = True

    @property
    def rate(self) -> str:
        """Such as 100/15m."""
        return str(settings.RATE_LIMITS[self.name])


# A clinic's token, counted after it was found to be good: a stranger cannot use up a clinic's share.
CLINIC_API = Limit("clinic_api")
BOOKING_ADDRESS = Limit("booking_address")
ANONYMOUS = Limit("anonymous")
FORGED = Limit("forged")
# Guessing at a patient's address is refused rather than let through uncounted.
PATIENT_LINKS = Limit("patient_links", open_without_redis=False)


def over_limit(request: HttpRequest, limit: Limit, who: str) -> JsonResponse | None:
    """Counts one request of ``who`` (a clinic's id, an address); the 429 to answer with when it is one too many."""
    usage = get_usage(request, group=limit.name, key=lambda *_: who, rate=limit.rate, increment=True)
    if usage is None or not usage["should_limit"]:
        return None
    if usage["time_left"] == UNCOUNTED:
        return None if limit.open_without_redis else too_many(1)
    return too_many(max(1, usage["time_left"]))


def over_limit_by_address(request: HttpRequest, limit: Limit) -> JsonResponse | None:
    return over_limit(request, limit, network_of(client_address(request)))


def too_many(retry_after_seconds: int) -> JsonResponse:
    return error_response(
        429,
        "too_many_requests",
        f"Too many requests: try again in {retry_after_seconds} s.",
        headers={"Retry-After": str(retry_after_seconds)},
    )


def limited(limit: Limit) -> Callable[[View], View]:
    """Decorates a view: counts its requests by address. People who are signed in are exempt."""

    def decorate(view: View) -> View:
        @wraps(view)
        def counted(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not _signed_in(request):
                refusal = over_limit_by_address(request, limit)
                if refusal is not None:
                    return refusal
            return view(request, *args, **kwargs)

        return counted  # type: ignore[return-value]

    return decorate


def _signed_in(request: HttpRequest) -> bool:
    # Without its cookie there is no session, and no database need be asked.
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return False
    user = getattr(request, "user", None)
    return bool(user is not None and user.is_authenticated)


def network_of(address: str) -> str:
    """Whom an address counts for: an IPv6 customer has a whole /64."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if known.version == 6:
        return str(ipaddress.ip_network(f"{known}/64", strict=False))
    return str(known)
