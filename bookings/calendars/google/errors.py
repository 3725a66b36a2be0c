"""What Google Calendar's answer means for the work at hand.

Source: Calendar API v3, "Handle API errors". An error's body is
`{"error": {"errors": [{"domain", "reason", "message"}], "code", "message"}}`; the reason tells apart what
shares a status.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class CalendarOutcome(StrEnum):
    DONE = "done"
    ALREADY_THERE = "already_there"
    """An event of this id exists: read or update that one. A deleted event's id stays taken."""
    GONE = "gone"
    """Not there, or not ours to see; Google does not tell these apart. When deleting, as good as done."""
    RESYNC = "resync"
    """The sync token is too old: forget what it led to, and list everything anew."""
    CHANGED = "changed"
    """Somebody changed the event since it was read: read it again, then decide again."""
    RETRY = "retry"
    """Gone by itself: try again with growing, jittered waits, an insert under the same id."""
    RETRY_LATER = "retry_later"
    """A quota is used up, perhaps for the day: wait long, and tell an operator."""
    REAUTHORISE = "reauthorise"
    """The credentials are no longer good, also after a refresh: a person must connect the calendar again."""
    PERMANENT = "permanent"
    """The request or the permissions are wrong: trying again changes nothing."""


RATE_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded"})
QUOTA_REASONS = frozenset({"quotaExceeded", "dailyLimitExceeded"})
SYNC_REASONS = frozenset({"fullSyncRequired", "updatedMinTooLongAgo"})

_OF_STATUS = {
    401: CalendarOutcome.REAUTHORISE,
    404: CalendarOutcome.GONE,
    408: CalendarOutcome.RETRY,
    412: CalendarOutcome.CHANGED,
    429: CalendarOutcome.RETRY,
}


def outcome_of_response(status: int, body: Any) -> CalendarOutcome:
    """Return what an answer of this HTTP status and decoded JSON body means; never raises for any body.

    A 401 here means that a refreshed token was refused too: google-auth's session has refreshed by then.
    A 410 without a reason is GONE; whoever listed with a sync token takes GONE for RESYNC.
    """
    if 200 <= status < 300:
        return CalendarOutcome.DONE
    if status >= 500:
        return CalendarOutcome.RETRY
    reasons = reasons_in(body)
    if status == 400 and "invalid_grant" in reasons:
        return CalendarOutcome.REAUTHORISE
    if status == 403:
        return _of_forbidden(reasons)
    if status == 409:
        is_duplicate = not reasons or "duplicate" in reasons
        return CalendarOutcome.ALREADY_THERE if is_duplicate else CalendarOutcome.RETRY
    if status == 410:
        return CalendarOutcome.RESYNC if reasons & SYNC_REASONS else CalendarOutcome.GONE
    return _OF_STATUS.get(status, CalendarOutcome.PERMANENT)


def reasons_in(body: Any) -> frozenset[str]:
    """Return the reasons an error's body gives; none for a body that is not an error's.

    The token endpoint's bodies, `{"error": "invalid_grant"}`, are read too.
    """
    error = body.get("error") if isinstance(body, Mapping) else None
    if isinstance(error, str):
        return frozenset({error})
    listed = error.get("errors") if isinstance(error, Mapping) else None
    if not isinstance(listed, list):
        return frozenset()
    reasons = (each.get("reason") for each in listed if isinstance(each, Mapping))
    return frozenset(reason for reason in reasons if isinstance(reason, str))


def _of_forbidden(reasons: frozenset[str]) -> CalendarOutcome:
    if reasons & QUOTA_REASONS:
        return CalendarOutcome.RETRY_LATER
    if reasons & RATE_REASONS:
        return CalendarOutcome.RETRY
    return CalendarOutcome.PERMANENT
