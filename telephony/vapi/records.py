"""Messages that want no reply: what they say about the call goes onto its row. Status only moves forward."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.db.models.functions import Coalesce
from django.utils.dateparse import parse_datetime

from telephony.calls import call_of
from telephony.live.feed import announce_call
from telephony.models import Call
from telephony.recordings import queue_recording
from telephony.vapi.payload import ServerMessage, text
from telephony.vapi.reported_recording import reported_address
from voxanne.tenancy.plan_cache import ClinicKey
from voxanne.tenancy.scope import org_scope

# Years that every zone's calendar can show.
PLAUSIBLE_YEARS = range(2000, 2101)
STATUSES = {
    "ringing": Call.Status.RINGING,
    "in-progress": Call.Status.IN_PROGRESS,
    "forwarding": Call.Status.FORWARDING,
    "ended": Call.Status.ENDED,
}
ORDER = list(Call.Status.values)


def record_message(clinic: ClinicKey, message: ServerMessage) -> None:
    """Writes a status-update or end-of-call-report onto its call; other types change nothing."""
    if message.type not in ("status-update", "end-of-call-report") or not message.call.vapi_call_id:
        return
    with org_scope(clinic.org_id):
        call = call_of(clinic.org_id, message.call)
        if message.type == "status-update":
            _advance(call, STATUSES.get(text(message.body.get("status"))))
        else:
            _complete(call, message.body)


def _advance(call: Call, status: Call.Status | None) -> None:
    if status is None:
        return
    earlier = ORDER[: ORDER.index(status)]
    if Call.objects.filter(pk=call.pk, status__in=earlier).update(status=status):
        announce_call(Call.objects.get(pk=call.pk))


def _complete(call: Call, report: Mapping[str, Any]) -> None:
    """A report never overwrites a value with nothing."""
    analysis, artifact = report.get("analysis"), report.get("artifact")
    found = {
        "ended_reason": text(report.get("endedReason"), 120),
        "summary": text(_member(analysis, "summary") or report.get("summary"), 20_000),
        "transcript": text(_member(artifact, "transcript") or report.get("transcript"), 400_000),
    }
    Call.objects.filter(pk=call.pk).update(**{name: value for name, value in found.items() if value})
    Call.objects.filter(pk=call.pk).update(
        started_at=Coalesce("started_at", _instant(report.get("startedAt"))),
        ended_at=Coalesce("ended_at", _instant(report.get("endedAt"))),
    )
    _advance(call, Call.Status.ENDED)
    queue_recording(call.org_id, call.pk, reported_address(report))


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _instant(value: Any) -> datetime | None:
    """The moment in UTC; None for what is none, or lies outside the years that can be read back."""
    try:
        moment = parse_datetime(text(value))
        utc = moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
    return utc if utc is not None and utc.year in PLAUSIBLE_YEARS else None
