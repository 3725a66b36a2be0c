"""The net under Twilio's word: calls whose outcome nobody told us are looked up, by the leg that was dialled.

The call itself says little: whatever is spoken after the dial makes it ``completed``, though nobody took it. Twilio is
asked outside any transaction, several calls at a time; what cannot be learnt now is asked again in the next round.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db.models import F
from django.utils import timezone

from bookings.plan import plan_of
from messaging.providers.twilio.client import Account
from messaging.senders import account_of_clinic
from telephony.missed_calls.dial_outcomes import ENDED, NO_TERMS, Ended, Terms, Verdict, verdict_of
from telephony.missed_calls.lines import Mode, Stage
from telephony.missed_calls.settling import Outcome, Path, settle
from telephony.models import ActiveCall
from telephony.twilio.calls_client import CallsUnavailable, CallUnknown, Leg, dialled_legs, status_of
from voxanne.encryption import UnreadableCredential
from voxanne.tenancy.scope import org_scope, platform_scope

logger = structlog.get_logger(__name__)

OLDER_THAN = timedelta(seconds=31)
YOUNGER_THAN = timedelta(hours=2)
MOST_CALLS = 500
ASKED_AT_ONCE = 8
ROUND_SECONDS = 25.0


@dataclass(frozen=True, slots=True)
class Round:
    """What one round came to: calls settled, how many of them missed, and how many are left for the next."""

    processed: int = 0
    missed: int = 0
    still_active: int = 0

    def __add__(self, other: Round) -> Round:
        return Round(
            self.processed + other.processed,
            self.missed + other.missed,
            self.still_active + other.still_active,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What Twilio says of a call. UNCLEAR: it could not be asked, or says nothing known."""

    verdict: Verdict
    leg: Leg | None = None
    gone: bool = False


LEFT = Round(still_active=1)


def check_missed_calls() -> Round:
    """One round over the unsettled calls between 31 s and 2 h of age; older ones are given up for staff to see to."""
    now = timezone.now()
    given_up = sum((_give_up(call) for call in _too_old(now)), Round())
    return given_up + sum((_settled(call, found) for call, found in _answers(_due(now))), Round())


def _due(now: datetime) -> list[ActiveCall]:
    """Those not asked about for the longest time come first."""
    with platform_scope("poll unsettled calls"):
        waiting = ActiveCall.objects.filter(
            processed=False, created_at__lt=now - OLDER_THAN, created_at__gt=now - YOUNGER_THAN
        )
        longest = F("polled_at").asc(nulls_first=True)
        return list(waiting.select_related("number").order_by(longest, "created_at")[:MOST_CALLS])


def _too_old(now: datetime) -> list[ActiveCall]:
    with platform_scope("give up unsettled calls"):
        return list(
            ActiveCall.objects.filter(processed=False, created_at__lte=now - YOUNGER_THAN)[:MOST_CALLS]
        )


def _answers(calls: list[ActiveCall]) -> Iterator[tuple[ActiveCall, Found]]:
    """Each call with what Twilio says of it, as the answers come in; a round lets nobody wait for the slowest."""
    accounts = {org_id: _account_of(org_id) for org_id in {call.org_id for call in calls}}
    ends = time.monotonic() + ROUND_SECONDS
    with ThreadPoolExecutor(ASKED_AT_ONCE, thread_name_prefix="call-poll") as asking:
        asked: dict[Future[Found], ActiveCall] = {
            asking.submit(_asked, accounts[call.org_id], call, ends): call for call in calls
        }
        for answered in as_completed(asked):
            yield asked[answered], answered.result()


def _account_of(org_id: UUID) -> Account | None:
    """None where its credential cannot be read: no other clinic's callers wait for that."""
    try:
        return account_of_clinic(org_id)
    except UnreadableCredential:
        logger.error("credential_unreadable", org_id=str(org_id))
        return None


def _asked(account: Account | None, call: ActiveCall, ends: float) -> Found:
    if account is None or time.monotonic() > ends:
        return Found(Verdict.UNCLEAR)
    try:
        return _look_up(account, call)
    except CallUnknown:
        return Found(Verdict.MISSED, gone=True)
    except CallsUnavailable as fault:
        logger.warning("call_not_looked_up", reason=str(fault))
        return Found(Verdict.UNCLEAR)


def _look_up(account: Account, call: ActiveCall) -> Found:
    """Touches no database: it runs beside others."""
    legs = dialled_legs(account, call.call_sid)
    if legs:
        newest = legs[-1]
        verdict = verdict_of(Ended(newest.status, seconds=newest.seconds), _terms(call))
        if verdict is not Verdict.MISSED or not _may_go_on(call):
            return Found(verdict, newest)
    # No leg, or one after which another may be dialled: whether the caller is still there decides.
    over = status_of(account, call.call_sid) in ENDED
    return Found(Verdict.MISSED if over else Verdict.ACTIVE, legs[-1] if legs else None)


def _terms(call: ActiveCall) -> Terms:
    if call.stage == Stage.ASSISTANT or call.number is None:
        return NO_TERMS
    return Terms(call.number.whisper, call.whisper, call.number.voicemail_seconds)


def _may_go_on(call: ActiveCall) -> bool:
    return call.mode == Mode.FORWARD_THEN_ASSISTANT and call.stage == Stage.CLINIC


def _settled(call: ActiveCall, found: Found) -> Round:
    outcome = {Verdict.MISSED: Outcome.MISSED, Verdict.ANSWERED: Outcome.ANSWERED}.get(found.verdict)
    with org_scope(call.org_id):
        if outcome is None:
            ActiveCall.objects.filter(pk=call.pk).update(polled_at=timezone.now())
            return LEFT
        return _counted(call, Outcome.GONE if found.gone else outcome, found.leg)


def _give_up(call: ActiveCall) -> Round:
    with org_scope(call.org_id):
        return _counted(call, Outcome.GIVEN_UP, None)


def _counted(call: ActiveCall, outcome: Outcome, leg: Leg | None) -> Round:
    settled = settle(
        call,
        outcome,
        Path.FALLBACK,
        plan_of(call.org_id),
        dial_call_sid=leg.sid if leg else "",
        ended_at=leg.ended_at if leg else None,
    )
    return Round(int(settled.done), int(settled.done and outcome == Outcome.MISSED))
