"""Google Calendar's events by google-auth: put an event under an id of ours, or remove it.

Source: Calendar API v3, events. The id comes from the appointment, so an insert whose answer was lost is met
by 409 the next time and becomes an update. google-auth's own time-out (120 s) and sleeping retries are
replaced by ours: the durable mechanism waits, not the worker.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import requests
from django.conf import settings
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2.credentials import Credentials
from requests.adapters import HTTPAdapter

from bookings.calendars.google.errors import RATE_REASONS, CalendarOutcome, outcome_of_response, reasons_in
from bookings.models import CalendarConnection
from monitoring.breaker import is_outage, is_outage_status
from voxanne.outgoing import keep_proxies

# The token service's words for "your program is not welcome": nothing that a clinic could mend by reconnecting.
REFUSED_CLIENT = frozenset({"invalid_client", "unauthorized_client", "deleted_client", "disabled_client"})
# The status of every refusal by the token service (RFC 6749, 5.2); google-auth does not tell it.
REFUSED_REFRESH = 400


class CalendarFault(RuntimeError):
    """Google did not do it. ``permanent``: trying again is useless; ``needs_reauth``: a person must reconnect;
    ``outage``: Google failed, not the request; ``status``: of the answer, where there was one."""

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        needs_reauth: bool = False,
        outage: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.needs_reauth = needs_reauth
        self.outage = outage
        self.status = status


@dataclass(frozen=True, slots=True)
class Event:
    """A visit as a calendar shows it. ``id`` has the letters a to v and digits; times are local with offset."""

    id: str
    summary: str
    starts_at: datetime
    ends_at: datetime
    time_zone: str
    private: Mapping[str, str]

    def body(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "status": "confirmed",
            "summary": self.summary,
            "start": {"dateTime": self.starts_at.isoformat(), "timeZone": self.time_zone},
            "end": {"dateTime": self.ends_at.isoformat(), "timeZone": self.time_zone},
            "transparency": "opaque",
            "visibility": "private",
            "extendedProperties": {"private": dict(self.private)},
            "reminders": {"useDefault": False},
        }


@dataclass(frozen=True, slots=True)
class _Answer:
    outcome: CalendarOutcome
    status: int
    outage: bool


class OneTry(Request):
    """Asks the token service once, within our time-outs: google-auth would sleep and ask again, or wait for two
    minutes, while a worker stands still."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        response = super().__call__(*args, **{**kwargs, "timeout": settings.GOOGLE_TIMEOUT})
        if response.status in (408, 429) or response.status >= 500:
            raise TransportError(f"The token service answered {response.status}.")
        return response


_kept = threading.local()


def _kept_connections() -> HTTPAdapter:
    """This thread's connections to Google, whoever's calendar is asked for: what names the person travels with each
    request, and a new connection costs more than the request."""
    known: HTTPAdapter | None = getattr(_kept, "adapter", None)
    if known is None:
        known = _kept.adapter = HTTPAdapter()
    return known


class Session:
    """One provider's calendar, opened with its own credentials."""

    def __init__(self, connection: CalendarConnection) -> None:
        expires = connection.access_token_expires_at
        self._credentials = Credentials(
            token=connection.access_token or None,
            refresh_token=connection.refresh_token,
            token_uri=settings.GOOGLE_TOKEN_URL,
            client_id=settings.GOOGLE_CLIENT_ID or "unset",
            client_secret=settings.GOOGLE_CLIENT_SECRET or "unset",
            # google-auth compares with naive UTC.
            expiry=expires.astimezone(UTC).replace(tzinfo=None) if expires else None,
        )
        self._token_http = requests.Session()
        self._http = AuthorizedSession(self._credentials, auth_request=OneTry(self._token_http))
        for session in (self._token_http, self._http):
            keep_proxies(session, settings.GOOGLE_API_BASE_URL)
        for scheme in ("https://", "http://"):
            self._http.mount(scheme, _kept_connections())
        calendar = quote(connection.calendar_id, safe="")
        self._events = f"{settings.GOOGLE_API_BASE_URL}/calendar/v3/calendars/{calendar}/events"

    @property
    def access_token(self) -> str:
        return self._credentials.token or ""

    @property
    def expires_at(self) -> datetime | None:
        expiry = self._credentials.expiry
        return expiry.replace(tzinfo=UTC) if expiry else None

    def put(self, event: Event) -> None:
        """Inserts the event, or brings the one of this id up to date. Raises CalendarFault."""
        answer = self._ask("POST", f"{self._events}?sendUpdates=none", event.body())
        if answer.outcome is CalendarOutcome.ALREADY_THERE:
            answer = self._ask("PUT", f"{self._events}/{event.id}?sendUpdates=none", event.body())
        self._require(answer, CalendarOutcome.DONE)

    def remove(self, event_id: str) -> None:
        """Removes the event; one that is gone already counts as removed. Raises CalendarFault."""
        answer = self._ask("DELETE", f"{self._events}/{event_id}?sendUpdates=none", None)
        self._require(answer, CalendarOutcome.DONE, CalendarOutcome.GONE)

    def _ask(self, method: str, url: str, body: Mapping[str, Any] | None) -> _Answer:
        try:
            response = self._http.request(method, url, json=body, timeout=settings.GOOGLE_TIMEOUT)
        except RefreshError as error:
            raise _refused_refresh(error) from error
        except (TransportError, GoogleAuthError, requests.RequestException) as error:
            said = f"Google could not be reached ({type(error).__name__})."
            raise CalendarFault(said, outage=isinstance(error, TransportError) or is_outage(error)) from error
        status, body_given = response.status_code, _json(response)
        # Google words too many requests as 403 or 429, and means the same.
        outage = is_outage_status(status) or (status == 403 and bool(reasons_in(body_given) & RATE_REASONS))
        return _Answer(outcome_of_response(status, body_given), status, outage)

    def _require(self, answer: _Answer, *wanted: CalendarOutcome) -> None:
        outcome = answer.outcome
        if outcome in wanted:
            return
        raise CalendarFault(
            f"Google answered: {outcome.value}.",
            permanent=outcome in (CalendarOutcome.PERMANENT, CalendarOutcome.GONE),
            needs_reauth=outcome is CalendarOutcome.REAUTHORISE,
            outage=answer.outage,
            status=answer.status,
        )


def _refused_refresh(error: RefreshError) -> CalendarFault:
    refused = reasons_in(error.args[1] if len(error.args) > 1 else None) & REFUSED_CLIENT
    if refused:
        said = ", ".join(sorted(refused))
        told = f"Google refuses our client ({said}): check GOOGLE_CLIENT_ID and its secret."
        return CalendarFault(told, status=REFUSED_REFRESH)
    return CalendarFault(
        "Google no longer accepts this connection.", needs_reauth=True, status=REFUSED_REFRESH
    )


def _json(response: requests.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
