"""Vapi's list of calls: those that changed, page by page.

Source: Vapi's OpenAPI document, ``GET /call``: newest first, with bounds on creation and change and no cursor, so a
page continues before the oldest call of the last one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from telephony.vapi.payload import text
from telephony.vapi.rest import CALL, Record, Vapi

# Whole calls come, transcripts and all; Vapi's own default is 100.
PAGE_SIZE = 50
MOST_PAGES = 100
# Nobody waits for it, and a page is large.
LIST_TIMEOUT = (3.0, 20.0)


def calls_changed_since(since: datetime) -> Iterator[Record]:
    """Every call that changed after ``since``, newest first. Raises VapiFault: who asks comes by again by himself."""
    vapi = Vapi(tries=1, timeout=LIST_TIMEOUT)
    query = {"limit": str(PAGE_SIZE), "updatedAtGt": _written(since)}
    for _ in range(MOST_PAGES):
        page = vapi.page(CALL, query)
        yield from page
        oldest = min((text(call.get("createdAt"), 40) for call in page), default="")
        if len(page) < PAGE_SIZE or not oldest or oldest == query.get("createdAtLe"):
            return
        # With the equal: several calls may have begun in the same millisecond.
        query["createdAtLe"] = oldest


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
