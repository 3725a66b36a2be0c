"""Requests the sandbox makes itself: callbacks and webhooks, with Twilio's connection overrides honoured.

Overrides stand in the URL's fragment, ``#rc=2&rp=ct,rt,5xx``: rc retries (0 to 5, default 1), rp what is
retried (default ct), ct/rt/tt the time limits in milliseconds. The fragment itself is never requested.
Source: https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urldefrag, urlencode
from uuid import uuid4

import aiohttp
from yarl import URL

from voxanne.sandbox.formats import iso_milliseconds

CONNECTIONS = 48
RETRY_PAUSE_SECONDS = 0.25
KEPT_ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True)
class Overrides:
    """How one address wants to be called."""

    connect_seconds: float = 5.0
    read_seconds: float = 15.0
    total_seconds: float = 15.0
    retries: int = 1
    retry_on: frozenset[str] = frozenset({"ct"})


@dataclass
class Delivery:
    """How one webhook went: the last answer's status and body, or the last failure (``ct``, ``rt``)."""

    url: str
    at: float
    status: int | None = None
    body: str = ""
    failure: str | None = None
    attempts: int = 0

    def describe(self) -> dict[str, Any]:
        return {
            "at": iso_milliseconds(self.at),
            "url": self.url,
            "status": self.status,
            "failure": self.failure,
            "attempts": self.attempts,
        }


def split_overrides(address: str) -> tuple[str, Overrides]:
    """The address without its fragment, and what the fragment asked for; nonsense counts as the default."""
    url, fragment = urldefrag(address)
    asked = dict(parse_qsl(fragment))
    retry_on = frozenset(part for part in asked.get("rp", "ct").split(",") if part)
    return url, Overrides(
        connect_seconds=_bounded(asked.get("ct"), 100, 10_000, 5_000) / 1000,
        read_seconds=_bounded(asked.get("rt"), 100, 15_000, 15_000) / 1000,
        total_seconds=_bounded(asked.get("tt"), 100, 15_000, 15_000) / 1000,
        retries=_bounded(asked.get("rc"), 0, 5, 1),
        retry_on=retry_on,
    )


def _bounded(text: str | None, low: int, high: int, default: int) -> int:
    return min(max(int(text), low), high) if text is not None and text.isdigit() else default


class WebhookSender:
    """Posts webhooks over kept connections and remembers how the recent ones went."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self.recent: deque[Delivery] = deque(maxlen=2000)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(
        self,
        address: str,
        *,
        params: dict[str, str] | None = None,
        json_body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Delivery:
        """Send a form (``params``), JSON (``json_body``) or nothing; never raises for the other side."""
        url, overrides = split_overrides(address)
        delivery = Delivery(url=url, at=time.time())
        sent_headers = {
            "User-Agent": "TwilioProxy/1.1",
            "I-Twilio-Idempotency-Token": str(uuid4()),
            **(headers or {}),
        }
        data = None
        if params is not None:
            data = urlencode(params).encode()
            sent_headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
        deadline = time.monotonic() + overrides.total_seconds
        while True:
            await self._attempt(delivery, overrides, data, json_body, sent_headers)
            pause = RETRY_PAUSE_SECONDS * 2 ** (delivery.attempts - 1)
            used_up = delivery.attempts > overrides.retries or time.monotonic() + pause > deadline
            if used_up or not _retries(delivery, overrides):
                break
            await asyncio.sleep(pause)
        self.recent.append(delivery)
        return delivery

    async def _attempt(
        self,
        delivery: Delivery,
        overrides: Overrides,
        data: bytes | None,
        json_body: Any,
        headers: dict[str, str],
    ) -> None:
        delivery.attempts += 1
        delivery.status, delivery.failure, delivery.body = None, None, ""
        limits = aiohttp.ClientTimeout(
            total=overrides.total_seconds,
            sock_connect=overrides.connect_seconds,
            sock_read=overrides.read_seconds,
        )
        try:
            async with self._open_session().post(
                URL(delivery.url, encoded=True), data=data, json=json_body, headers=headers, timeout=limits
            ) as answer:
                delivery.status = answer.status
                delivery.body = (await answer.read())[:KEPT_ANSWER_BYTES].decode("utf-8", "replace")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL):
            delivery.failure = "ct"
        except (aiohttp.ClientError, TimeoutError, OSError):
            delivery.failure = "rt"

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=3)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=True)
        return self._session


def _retries(delivery: Delivery, overrides: Overrides) -> bool:
    if delivery.failure is not None:
        outcome = delivery.failure
    elif delivery.status is not None and delivery.status >= 400:
        outcome = "5xx" if delivery.status >= 500 else "4xx"
    else:
        return False
    return "all" in overrides.retry_on or outcome in overrides.retry_on
