"""Vapi's list of calls over REST, asked with our own key.

Source: Vapi's OpenAPI document, ``GET /call``: a plain array, newest first, with bounds on creation and change and no
cursor, so a page continues before the oldest call of the last one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import requests
from django.conf import settings

from monitoring.breaker import CircuitOpen, Service, guarded
from telephony.vapi.payload import text
from voxanne.outgoing import keep_proxies

# Whole calls come, transcripts and all; Vapi's own default is 100.
PAGE_SIZE = 50
MOST_PAGES = 100
# To connect, to answer: nobody waits for it, and a page is large.
LIST_TIMEOUT = (3.0, 20.0)


class VapiAway(RuntimeError):
    """Vapi's list could not be had: it does not answer, refuses our key, or asks us to wait."""


def calls_changed_since(since: datetime) -> Iterator[dict[str, Any]]:
    """Every call that changed after ``since``, newest first, page by page. Raises VapiAway."""
    session = requests.Session()
    keep_proxies(session, settings.VAPI_API_BASE_URL)
    before: str | None = None
    with session:
        for _ in range(MOST_PAGES):
            page = _page(session, since, before)
            yield from page
            oldest = min((text(call.get("createdAt"), 40) for call in page), default="")
            if len(page) < PAGE_SIZE or not oldest or oldest == before:
                return
            before = oldest


def _page(session: requests.Session, since: datetime, before: str | None) -> list[dict[str, Any]]:
    parameters = {"limit": str(PAGE_SIZE), "updatedAtGt": _written(since)}
    if before is not None:
        # With the equal: several calls may have begun in the same millisecond.
        parameters["createdAtLe"] = before
    try:
        with guarded(Service.VAPI_API, None):
            answer = session.get(
                f"{settings.VAPI_API_BASE_URL}/call",
                params=parameters,
                headers={"Authorization": f"Bearer {settings.VAPI_API_KEY}"},
                timeout=LIST_TIMEOUT,
                allow_redirects=False,
            )
            answer.raise_for_status()
        listed = answer.json() if answer.status_code == 200 else None
    except (requests.RequestException, CircuitOpen, ValueError) as error:
        raise VapiAway(f"Vapi's calls could not be listed ({type(error).__name__}).") from error
    if not isinstance(listed, list):
        raise VapiAway("Vapi's list of calls is no list.")
    return [call for call in listed if isinstance(call, dict)]


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
