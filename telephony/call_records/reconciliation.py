"""Calls whose end never reached us: found at Vapi, and taken in as if they had been told.

A webhook that is lost is lost for good (Vapi repeats itself only where it was told to, and then a few times), so we
ask. What is found missing goes through the ledger under the id that the report itself would have had: should the
report come after all, it changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.utils import timezone

from monitoring import heartbeats
from telephony.call_records.outcome import conclude
from telephony.clinics import clinic_of_call
from telephony.models import Call, WebhookDelivery
from telephony.vapi.arrivals import REPORT, arrival_of
from telephony.vapi.calls_api import calls_changed_since
from telephony.vapi.moments import instant
from telephony.vapi.payload import message_of, text
from telephony.vapi.rest import VapiFault
from telephony.webhooks import ledger
from telephony.webhooks.ledger import Arrival, Origin, Provider
from voxanne.tenancy.scope import org_scope, platform_scope

logger = structlog.get_logger(__name__)

JOB = "ask for calls whose end never arrived"
EVERY_SECONDS = 600
# The report follows the end by seconds to minutes; sooner we would ask for what is on its way.
REPORT_MAY_TAKE = timedelta(minutes=5)
LOOKS_BACK = timedelta(hours=1)
LOOKS_BACK_AT_MOST = timedelta(hours=24)
AT_A_TIME = 50
MOST_CONCLUDED = 5_000
# What of a call's record stands in a report under the same name.
MEMBERS = (
    "endedReason", "startedAt", "endedAt", "cost", "analysis", "artifact", "summary", "transcript", "recordingUrl",
    "stereoRecordingUrl", "customer", "phoneNumber",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reconciled:
    """``ended`` calls were looked at; the reports of ``repaired`` had never arrived. ``complete`` is False where
    Vapi stopped answering in between."""

    ended: int
    repaired: int
    complete: bool = True


def reconcile(since: datetime | None = None) -> Reconciled:
    """Asks Vapi for the calls that changed ``since`` (default: the last hour, or longer where this job has not
    run), and takes in the reports that are missing. Without a key nothing is asked."""
    if not settings.VAPI_API_KEY:
        return Reconciled(0, 0)
    ended = repaired = 0
    complete = True
    calls = calls_changed_since(since or timezone.now() - _looks_back())
    try:
        while batch := list(islice(calls, AT_A_TIME)):
            due = [call for call in batch if _is_over(call)]
            ended += len(due)
            repaired += _repair(due)
    except VapiFault as error:
        logger.warning("calls_not_reconciled", reason=str(error))
        complete = False
    _conclude_recent()
    logger.info("calls_reconciled", ended=ended, repaired=repaired, complete=complete)
    return Reconciled(ended, repaired, complete)


def _looks_back() -> timedelta:
    """Past the last time this job ran through, so that an outage of ours leaves no gap."""
    age = heartbeats.ages().get(JOB)
    since_last = timedelta(seconds=age) + LOOKS_BACK if age is not None else LOOKS_BACK_AT_MOST
    return min(max(since_last, LOOKS_BACK), LOOKS_BACK_AT_MOST)


def _is_over(call: Mapping[str, Any]) -> bool:
    """Whether the call ended so long ago that its report should be here."""
    if text(call.get("status")) != "ended":
        return False
    ended_at = instant(call.get("endedAt")) or instant(call.get("updatedAt"))
    return ended_at is not None and ended_at < timezone.now() - REPORT_MAY_TAKE


def _repair(calls: Iterable[Mapping[str, Any]]) -> int:
    """Takes in the reports that the ledger does not know; returns how many."""
    wanted: dict[UUID, list[Arrival]] = {}
    for call in calls:
        message = message_of(_as_report(call))
        clinic = clinic_of_call(message.call)
        if clinic is not None and message.call.vapi_call_id:
            wanted.setdefault(clinic.org_id, []).append(arrival_of(message, Origin.ASKED))
    return sum(_take_in_missing(org_id, arrivals) for org_id, arrivals in wanted.items())


def _take_in_missing(org_id: UUID, arrivals: list[Arrival]) -> int:
    with org_scope(org_id):
        rows = WebhookDelivery.objects.filter(
            provider=Provider.VAPI, event_id__in=[arrival.event_id for arrival in arrivals]
        )
        in_ledger = set(rows.values_list("event_id", flat=True))
        # The ledger forgets after a week; the call does not.
        reported = Call.objects.filter(vapi_call_id__in=[arrival.call_id for arrival in arrivals])
        known = set(reported.exclude(report_learnt="").values_list("vapi_call_id", flat=True))
    missing = [each for each in arrivals if each.event_id not in in_ledger and each.call_id not in known]
    return sum(ledger.take_in(org_id, arrival) for arrival in missing)


def _as_report(call: Mapping[str, Any]) -> dict[str, Any]:
    """Vapi's record of a call in the shape of the report that should have come."""
    members = {name: call[name] for name in MEMBERS if call.get(name) is not None}
    about = {
        name: value for name, value in call.items() if name not in ("artifact", "analysis", "transcript")
    }
    return {"type": REPORT, "call": about, **members}


def _conclude_recent() -> None:
    """A tool call that was under way while its call's report was worked off is counted after all."""
    since = timezone.now() - LOOKS_BACK
    with platform_scope("find calls that have just ended"):
        rows = Call.objects.filter(ended_at__gte=since, status=Call.Status.ENDED).order_by()
        just_ended = list(rows.values_list("org_id", "pk")[:MOST_CONCLUDED])
    # Each by itself: nobody who writes to a call waits for the others.
    for org_id, call_id in just_ended:
        with org_scope(org_id):
            conclude(org_id, call_id)
