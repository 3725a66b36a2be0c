"""Who may look behind the scenes: operators, programs that hold a token and, in development, this machine.

A credential that is presented must be right, also from this machine; only where none is presented does the
loopback stand in for one, and never in production. A browser on this machine is lent to whatever page is open in
it: a page of somebody else's, or one whose name was made to lead here, is not this machine.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.request import split_domain_port
from django.middleware.csrf import CsrfViewMiddleware
from django.views.decorators.csrf import csrf_exempt

from monitoring.client_address import client_address
from monitoring.errors import csrf_failure, standard_response, unauthorized
from monitoring.limits import FORGED, over_limit_by_address

# What this machine is called besides its loopback addresses; nobody else can have the name lead here.
OWN_NAMES = frozenset({"localhost"})
# A page of the same address, or an address that a person typed.
OWN_PAGES = frozenset({"same-origin", "none"})

View = TypeVar("View", bound=Callable[..., HttpResponseBase])
Refuse = Callable[[HttpRequest], HttpResponseBase | None]


def monitoring_access(view: View) -> View:
    """For ``Authorization: Bearer $MONITORING_TOKEN``, a platform operator's session, or this machine outside
    production; 401 for everyone else, 403 for other people who are signed in."""
    return _guarded(view, _refuse_monitoring)


def cron_access(view: View) -> View:
    """For ``Authorization: Bearer $CRON_SECRET`` alone; 401 for everyone else."""
    return _guarded(view, _refuse_cron)


def same_secret(given: str, wanted: str) -> bool:
    """Compares in constant time; an unset secret is nobody's."""
    return bool(wanted) and hmac.compare_digest(given.encode(), wanted.encode())


def bearer_of(request: HttpRequest) -> str | None:
    """The bearer token; blank for another kind of credential; None where none is presented."""
    presented: str | None = request.headers.get("Authorization")
    if presented is None:
        return None
    scheme, _, token = presented.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def refuse_credential(request: HttpRequest) -> HttpResponseBase:
    """401; 429 only for an address that tries faster than anyone who merely holds a wrong key."""
    return over_limit_by_address(request, FORGED) or unauthorized()


def _guarded(view: View, refuse: Refuse) -> View:
    @csrf_exempt
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        refusal = refuse(request)
        return view(request, *args, **kwargs) if refusal is None else refusal

    return guarded  # type: ignore[return-value]


def _refuse_monitoring(request: HttpRequest) -> HttpResponseBase | None:
    token = bearer_of(request)
    if token is not None:
        return None if same_secret(token, settings.MONITORING_TOKEN) else refuse_credential(request)
    person = _signed_in_person(request)
    if person is not None:
        return (
            _refuse_forgery(request) if person.is_active and person.is_superuser else standard_response(403)
        )
    return None if _from_this_machine(request) else refuse_credential(request)


def _refuse_cron(request: HttpRequest) -> HttpResponseBase | None:
    token = bearer_of(request)
    if token is not None and same_secret(token, settings.CRON_SECRET):
        return None
    return refuse_credential(request)


def _signed_in_person(request: HttpRequest) -> Any:
    """The person whose session it is, or None. Without the cookie the database is not asked."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return None
    person = getattr(request, "user", None)
    return person if person is not None and person.is_authenticated else None


def _from_this_machine(request: HttpRequest) -> bool:
    """Called directly: whatever came through a proxy, ours or one nobody told us of, came from elsewhere."""
    forwarded = "HTTP_X_FORWARDED_FOR" in request.META or "HTTP_FORWARDED" in request.META
    if settings.PRODUCTION or forwarded:
        return False
    if not ipaddress.ip_address(client_address(request)).is_loopback:
        return False
    return _is_asked_by_its_own_name(request) and not _is_sent_by_another_page(request)


def _is_asked_by_its_own_name(request: HttpRequest) -> bool:
    """Whether ``Host`` says this machine: another name that leads here may be anybody's (DNS rebinding)."""
    try:
        name, _ = split_domain_port(request.get_host())
    except DisallowedHost:
        return False
    if name in OWN_NAMES or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_sent_by_another_page(request: HttpRequest) -> bool:
    """A browser names the page that has it send something, and says how that page stands to the address; nobody
    else sends either."""
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.get_host()}".lower():
        return True
    return request.headers.get("Sec-Fetch-Site", "none") not in OWN_PAGES


class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return csrf_failure(request, reason)


def _refuse_forgery(request: HttpRequest) -> HttpResponseBase | None:
    """A session rides along with whatever a browser is made to send; a token does not."""
    check = _CsrfCheck(lambda _: HttpResponse())
    check.process_request(request)
    return check.process_view(request, _csrf_protected, (), {})


def _csrf_protected(request: HttpRequest) -> HttpResponse:
    """Stands in for the view, which is exempt on behalf of tokens."""
    return HttpResponse()
