"""Texts whose last receipt never came: Twilio is asked about each, once a day, for some days.

A receipt that we missed is lost: Twilio repeats it a few times, and not for hours. What Twilio says when it is asked
goes through the same door as a receipt. Some carriers never say whether a text arrived: after ``ASKED_FOR`` it is left
as it is, ``sent``, and counted. The days are those since it was sent last: a text that was put back has a fate of its
own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from django.utils import timezone

from messaging.fates.receipts import Receipt, apply_receipt
from messaging.fates.reconciliation import is_listing_outage
from messaging.models import Message
from messaging.providers.answers import ListingFailed
from messaging.providers.twilio import client as twilio
from messaging.providers.twilio.outcomes import BAD_ENDS
from messaging.senders import account_of_clinic
from messaging.states import MessageState
from monitoring.breaker import CircuitOpen, Service, guarded
from voxanne.encryption import UnreadableCredential
from voxanne.statements import Statement
from voxanne.tenancy.scope import platform_scope

logger = structlog.get_logger(__name__)

JOB = "ask for receipts that never came"
EVERY_SECONDS = 3600
# A receipt follows within minutes; a phone that was off may take hours.
RECEIPT_MAY_TAKE = timedelta(hours=2)
AGAIN_AFTER = timedelta(hours=23)
ASKED_FOR = timedelta(days=3)
DAY = timedelta(days=1)
# What a run that ends early has taken and not asked about waits for a day: so few at a time.
MOST_A_RUN, AT_A_TIME = 300, 5
SECONDS_A_RUN = 90.0
# Twilio counts requests at once, and texts go out meanwhile.
MOST_A_SECOND = 5.0

# Marked as they are taken: what cannot be asked about now has its turn tomorrow, and makes room for the others. The
# choice stands apart: as a part of the WHERE it may be made more than once, and take more than its limit. A bad end on
# a text that is sent is of an earlier try.
TAKE = Statement("""
WITH due AS MATERIALIZED (
    SELECT id FROM sms_delivery_log
    WHERE sent_at BETWEEN %(oldest)s AND %(newest)s AND state = 'sent' AND provider_sid <> ''
      AND provider_status <> ALL(%(bad_ends)s)
      AND (receipt_asked_at IS NULL OR receipt_asked_at < %(again)s)
    ORDER BY sent_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
)
UPDATE sms_delivery_log AS text SET receipt_asked_at = %(now)s FROM due WHERE text.id = due.id
RETURNING text.org_id, text.id, text.provider_sid
""")


@dataclass(slots=True)
class Asked:
    """``asked``: texts that Twilio was asked about; ``learnt``: of these, whose fate moved on; ``not_asked``: their
    clinic's account could not be asked."""

    asked: int = 0
    learnt: int = 0
    not_asked: int = 0


def ask_for_receipts(most: int = MOST_A_RUN) -> Asked:
    """Asks about as many texts as are due, ``most`` at most, no faster than ``MOST_A_SECOND``."""
    done, resting = Asked(), set[UUID]()
    ends = time.monotonic() + SECONDS_A_RUN
    for org_id, message_id, sid in _due(most):
        if time.monotonic() > ends:
            break
        if org_id in resting:
            done.not_asked += 1
            continue
        try:
            done.learnt += _ask(org_id, message_id, sid)
            done.asked += 1
        except (CircuitOpen, ListingFailed, UnreadableCredential) as error:
            logger.warning("receipt_not_asked_for", org_id=str(org_id), reason=type(error).__name__)
            resting.add(org_id)
            done.not_asked += 1
        _rest()
    logger.info("receipts_asked_for", asked=done.asked, learnt=done.learnt, not_asked=done.not_asked)
    return done


def _rest() -> None:
    time.sleep(1 / MOST_A_SECOND)


def _due(most: int) -> Iterator[tuple[UUID, UUID, str]]:
    """Texts that are due, taken a few at a time, the oldest first."""
    taken = 0
    while taken < most:
        now = timezone.now()
        values = {
            "now": now, "oldest": now - ASKED_FOR, "newest": now - RECEIPT_MAY_TAKE, "again": now - AGAIN_AFTER,
            "most": min(AT_A_TIME, most - taken), "bad_ends": list(BAD_ENDS),
        }  # fmt: skip
        with platform_scope("find texts whose receipt never came"):
            rows = TAKE.rows(values)
        if not rows:
            return
        taken += len(rows)
        yield from ((org_id, message_id, sid) for org_id, message_id, sid in rows)


def _ask(org_id: UUID, message_id: UUID, sid: str) -> bool:
    """Whether Twilio's word moved the text on. Raises CircuitOpen, ListingFailed, UnreadableCredential."""
    account = account_of_clinic(org_id)
    with guarded(Service.TWILIO_API, org_id, str(message_id), is_listing_outage):
        found = twilio.fetch(account, sid)
    if found is None:
        return False
    return apply_receipt(org_id, message_id, Receipt(found.sid, found.status, found.error_code))


def never_told() -> dict[tuple[str, ...], float]:
    """For the gauge: of the texts sent three to four days ago, those that nobody will ask about any more."""
    now = timezone.now()
    window = (now - ASKED_FOR - DAY, now - ASKED_FOR)
    with platform_scope("count texts whose receipt never came"):
        silent = Message.objects.filter(state=MessageState.SENT, sent_at__range=window)
        return {(): float(silent.order_by().count())}
