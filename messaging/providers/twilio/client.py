"""Twilio's Messages resource by the real client: send one text, list what a phone was sent.

Source: Twilio's API 2010-04-01, Messages; the client has no time-out of its own and no idempotency key,
so the time-out is ours and our id travels in the status callback.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from twilio.base.exceptions import TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from messaging.providers.answers import Answer, Listed, ListingFailed, TryOutcome
from messaging.providers.twilio import outcomes
from messaging.providers.twilio.codes import SMALLEST_CODE
from voxanne.outgoing import keep_proxies

PAGE_SIZE = 200
LONGEST_VALIDITY = 36_000
# A header may name any number; beyond a day it says nothing that an operator would not have to look at.
LONGEST_RETRY_AFTER = 86_400.0
LOOKED_UP = "it is being looked up at Twilio and not sent again meanwhile."


@dataclass(frozen=True, slots=True)
class Account:
    """A Twilio account: an API key where there is one, else the auth token."""

    sid: str
    auth_token: str
    api_key: str = ""
    api_secret: str = ""


def platform_account() -> Account:
    return Account(
        sid=settings.TWILIO_ACCOUNT_SID,
        auth_token=settings.TWILIO_AUTH_TOKEN,
        api_key=settings.TWILIO_API_KEY,
        api_secret=settings.TWILIO_API_SECRET,
    )


class TimedAdapter(HTTPAdapter):
    """Two time-outs, to connect and to answer: Twilio's own client takes one number for both."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        return super().send(request, *args, **{**kwargs, "timeout": settings.TWILIO_TIMEOUT})


class PlainHttpClient(TwilioHttpClient):  # type: ignore[misc]  # the package ships no types for it
    """Twilio's HTTP client with a time-out, sent to ``TWILIO_API_BASE_URL``, remembering ``Retry-After``."""

    def __init__(self) -> None:
        super().__init__(timeout=sum(settings.TWILIO_TIMEOUT), pool_connections=True)
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, TimedAdapter())
        keep_proxies(self.session, settings.TWILIO_API_BASE_URL)
        self.retry_after: float | None = None

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        base = urlsplit(settings.TWILIO_API_BASE_URL)
        asked = urlsplit(url)
        path = base.path.rstrip("/") + asked.path
        response = super().request(
            method, urlunsplit((base.scheme, base.netloc, path, asked.query, "")), *args, **kwargs
        )
        self.retry_after = _seconds((response.headers or {}).get("Retry-After"))
        return response


def _seconds(value: str | None) -> float | None:
    """``Retry-After`` in seconds; its other form, a date, is not one of Twilio's."""
    if not value or not value.isascii() or not value.replace(".", "", 1).isdigit():
        return None
    return min(float(value), LONGEST_RETRY_AFTER)


_clients = threading.local()


def client_of(account: Account) -> Client:
    """One client a thread and account: connections are kept, sessions are not shared between threads."""
    known: dict[Account, Client] = getattr(_clients, "known", None) or {}
    _clients.known = known
    if account not in known:
        username, password = (
            (account.api_key, account.api_secret) if account.api_key else (account.sid, account.auth_token)
        )
        known[account] = Client(username, password, account.sid, http_client=PlainHttpClient())
    return known[account]


def send(
    account: Account, *, sender: str, recipient: str, body: str, status_callback: str, validity: timedelta
) -> Answer:
    """Asks Twilio to send ``body``. Never raises for what Twilio or the network does."""
    client = client_of(account)
    try:
        created = client.messages.create(
            to=recipient,
            from_=sender,
            body=body,
            status_callback=status_callback,
            validity_period=max(1, min(int(validity.total_seconds()), LONGEST_VALIDITY)),
        )
    # Whatever it raised, Twilio may have the text: one judge says what that came to, and nothing is sent twice
    # because an exception was not thought of.
    except Exception as error:
        return answer_of_exception(error, client.http_client.retry_after)
    if outcomes.outcome_of_sid(created.sid) is TryOutcome.LOST:
        return Answer(TryOutcome.LOST, http_status=201, error=f"Twilio's answer broke off; {LOOKED_UP}")
    return Answer(TryOutcome.ACCEPTED, sid=created.sid, status=str(created.status or ""), http_status=201)


def answer_of_exception(error: Exception, retry_after: float | None = None) -> Answer:
    """What Twilio's client raised while it sent, in every provider's words; people's data is left out."""
    outcome = outcomes.verdict_of_exception(error).outcome
    if isinstance(error, TwilioRestException | TwilioServiceException):
        code = outcomes.code_in(error)
        return Answer(
            outcome,
            http_status=error.status,
            error_code=code if code is not None and code >= SMALLEST_CODE else None,
            error=outcomes.spoken_reason(code),
            retry_after=retry_after,
            said=str(getattr(error, "msg", "") or getattr(error, "detail", "") or ""),
        )
    kind = type(error).__name__
    if outcome is TryOutcome.NEVER_CONNECTED:
        return Answer(
            outcome, error=f"Twilio could not be reached ({kind}); the text is tried again by itself."
        )
    return Answer(outcome, error=f"Twilio's answer was lost ({kind}); {LOOKED_UP}")


def sent_to(account: Account, *, recipient: str, sender: str, since: datetime) -> list[Listed]:
    """What Twilio has for this phone from this sender since ``since`` (UTC), newest first.

    Not filtered by DateSent: whether rows that were not sent yet match that filter is undocumented.
    Raises ListingFailed when Twilio cannot be asked.
    """
    found: list[Listed] = []
    try:
        for message in client_of(account).messages.stream(to=recipient, from_=sender, page_size=PAGE_SIZE):
            created = message.date_created
            if created is not None and created < since:
                break
            found.append(
                Listed(message.sid, str(message.status), message.body or "", created, message.error_code)
            )
    except Exception as error:
        raise ListingFailed(type(error).__name__) from error
    return found


def earliest_listing(first_attempt: datetime) -> datetime:
    """From when on a lost text may be listed: clocks differ, and Twilio's dates have whole seconds."""
    return first_attempt.astimezone(UTC) - timedelta(minutes=5)
