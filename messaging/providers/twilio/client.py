"""Twilio's Messages resource by the real client: send one text, list what a phone was sent.

Source: Twilio's API 2010-04-01, Messages; the client has no time-out of its own and no idempotency key,
so the time-out is ours and our id travels in the status callback.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
import structlog
from django.conf import settings
from django.utils import timezone
from requests.adapters import HTTPAdapter
from twilio.base.exceptions import TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from messaging.providers.answers import Answer, Content, Listed, ListingFailed, TryOutcome
from messaging.providers.twilio import outcomes
from messaging.providers.twilio.codes import SMALLEST_CODE
from monitoring.breaker import is_outage, is_outage_status
from voxanne.outgoing import keep_proxies

logger = structlog.get_logger(__name__)

NEVER_CONNECTED = "Twilio could not be reached"
PAGE_SIZE = 200
# A phone that got so many texts from one sender within minutes is not one that we know; what of the list was not read
# may be the text that is looked for.
MOST_LISTED = 5_000
# A messaging service's SID stands where a number would: Twilio then picks the number.
SERVICE = "MG"
LONGEST_VALIDITY = 36_000
NOT_FOUND = 404
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
    """Twilio's HTTP client with a time-out, sent to ``TWILIO_API_BASE_URL``, remembering of the last answer its
    status, its ``Retry-After``, and how far its clock is ahead of ours."""

    def __init__(self) -> None:
        super().__init__(timeout=sum(settings.TWILIO_TIMEOUT), pool_connections=True)
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, TimedAdapter())
        keep_proxies(self.session, settings.TWILIO_API_BASE_URL)
        # Several accounts share the session: nothing that one of them was told is told by another.
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.retry_after: float | None = None
        self.ahead = timedelta(0)
        self.status: int | None = None

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        self.status = None
        base = urlsplit(settings.TWILIO_API_BASE_URL)
        asked = urlsplit(url)
        path = base.path.rstrip("/") + asked.path
        response = super().request(
            method, urlunsplit((base.scheme, base.netloc, path, asked.query, "")), *args, **kwargs
        )
        self.status = response.status_code
        headers = response.headers or {}
        self.retry_after = _seconds(headers.get("Retry-After"))
        self.ahead = _ahead(headers.get("Date"))
        return response


def _ahead(date: str | None) -> timedelta:
    """How far the answerer's clock is ahead of ours, by its answer's ``Date``."""
    try:
        said = parsedate_to_datetime(date or "")
    except ValueError:
        return timedelta(0)
    return said.replace(tzinfo=said.tzinfo or UTC) - timezone.now()


def _seconds(value: str | None) -> float | None:
    """``Retry-After`` in seconds; its other form, a date, is not one of Twilio's."""
    if not value or not value.isascii() or not value.replace(".", "", 1).isdigit():
        return None
    return min(float(value), LONGEST_RETRY_AFTER)


_own = threading.local()
# Of one thread; each is a few objects around the thread's one HTTP client.
MOST_CLIENTS = 50


def client_of(account: Account) -> Client:
    """A client of this thread's for the account. Connections are the thread's, kept for all its accounts: each request
    carries its own credentials, and sessions are not shared between threads."""
    known: OrderedDict[Account, Client] | None = getattr(_own, "clients", None)
    if known is None:
        known = _own.clients = OrderedDict()
        _own.http_client = PlainHttpClient()
    if account not in known:
        username, password = (
            (account.api_key, account.api_secret) if account.api_key else (account.sid, account.auth_token)
        )
        known[account] = Client(username, password, account.sid, http_client=_own.http_client)
        if len(known) > MOST_CLIENTS:
            known.popitem(last=False)
    known.move_to_end(account)
    return known[account]


def send(
    account: Account, *, sender: str, recipient: str, body: str, status_callback: str, validity: timedelta,
    content: Content | None = None,
) -> Answer:  # fmt: skip
    """Asks Twilio to send ``body``, or ``content`` in its place. Never raises for what Twilio or the network does."""
    client = client_of(account)
    try:
        created = client.messages.create(
            to=recipient,
            **_from(sender),
            **words_of(body, content),
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


def _from(sender: str) -> dict[str, str]:
    return {"messaging_service_sid": sender} if sender.startswith(SERVICE) else {"from_": sender}


def words_of(body: str, content: Content | None) -> dict[str, str]:
    """The parameters that say what is sent: Twilio takes a body or a template, not both."""
    if content is None:
        return {"body": body}
    variables = {"content_variables": content.variables} if content.variables else {}
    return {"content_sid": content.sid, **variables}


def answer_of_exception(error: Exception, retry_after: float | None = None) -> Answer:
    """What Twilio's client raised while it sent, in every provider's words; people's data is left out."""
    outcome, outage = outcomes.verdict_of_exception(error).outcome, is_outage(error)
    if isinstance(error, TwilioRestException | TwilioServiceException):
        code = outcomes.code_in(error)
        return Answer(
            outcome,
            http_status=error.status,
            error_code=code if code is not None and code >= SMALLEST_CODE else None,
            error=outcomes.spoken_reason(code),
            retry_after=retry_after,
            outage=outage,
        )
    kind = in_words(error)
    logger.info("twilio_not_understood", kind=type(error).__name__)
    if outcome is TryOutcome.NEVER_CONNECTED:
        said = f"{NEVER_CONNECTED} ({kind}); the text is tried again by itself."
        return Answer(outcome, error=said, outage=outage)
    return Answer(outcome, error=f"Twilio's answer was lost ({kind}); {LOOKED_UP}", outage=outage)


def sent_to(account: Account, *, recipient: str, sender: str, since: datetime) -> list[Listed]:
    """What Twilio has for this phone from this sender since ``since`` (UTC), newest first.

    Not filtered by DateSent: whether rows that were not sent yet match that filter is undocumented. Of a messaging
    service the list is asked for by phone alone, for its texts are listed under the number that Twilio picked, and
    under none before. The order is not documented either, so reading goes on for a page's length past what is too old.
    Raises ListingFailed when Twilio cannot be asked, or not to the end.
    """
    by_service = sender.startswith(SERVICE)
    asked_for = {"to": recipient} if by_service else {"to": recipient, "from_": sender}
    client, found, read, too_old = client_of(account), list[Listed](), 0, 0
    try:
        for message in client.messages.stream(**asked_for, page_size=PAGE_SIZE):
            read += 1
            listed = _listed(message, client.http_client.ahead)
            too_old = too_old + 1 if _is_before(listed, since) else 0
            if too_old >= PAGE_SIZE or read > MOST_LISTED:
                break
            if not too_old and (not by_service or message.messaging_service_sid == sender):
                found.append(listed)
    except Exception as error:
        raise _listing_failed(client, error) from error
    if read > MOST_LISTED:
        raise ListingFailed("its list is too long")
    return found


def in_words(error: Exception) -> str:
    """What kept Twilio from being asked, for people who know nothing of Python."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "the connection failed"
    return "something went wrong on the way"


def _listing_failed(client: Client, error: Exception) -> ListingFailed:
    """The client's own exception for a page that is refused tells no status."""
    status = client.http_client.status
    logger.info("twilio_list_not_read", kind=type(error).__name__, status=status)
    said = f"it answered with status {status}" if status is not None and status >= 300 else in_words(error)
    return ListingFailed(said, outage=is_outage(error) or (status is not None and is_outage_status(status)))


def _listed(message: Any, ahead: timedelta) -> Listed:
    created: datetime | None = message.date_created
    ours_at = created - ahead if created is not None else None
    return Listed(message.sid, str(message.status), message.body or "", created, message.error_code, ours_at)


def _is_before(listed: Listed, since: datetime) -> bool:
    """By either clock: which one was wrong when the text was sent nobody knows."""
    moments = [at for at in (listed.created_at, listed.ours_at) if at is not None]
    return bool(moments) and max(moments) < since


def fetch(account: Account, sid: str) -> Listed | None:
    """What Twilio says of the text ``sid`` now; None where it has none of that SID (any more). Raises ListingFailed."""
    client = client_of(account)
    try:
        return _listed(client.messages(sid).fetch(), client.http_client.ahead)
    except TwilioRestException as error:
        if error.status == NOT_FOUND:
            return None
        raise _listing_failed(client, error) from error
    except Exception as error:
        raise _listing_failed(client, error) from error


def earliest_listing(first_attempt: datetime) -> datetime:
    """From when on a lost text may be listed: clocks differ, and Twilio's dates have whole seconds."""
    return first_attempt.astimezone(UTC) - timedelta(minutes=5)
