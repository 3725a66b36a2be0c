"""What a call's end tells: read from a status-update, a report, or Vapi's own record of the call.

Places: ``artifact`` and ``analysis`` first, then the top level, where reports of 2024 had them. What is missing or
not of its kind is None or blank, never a fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from telephony.models import Call
from telephony.vapi.moments import instant
from telephony.vapi.payload import text

Group = Call.EndedGroup
LONGEST_ADDRESS = 4000
LONGEST_SUMMARY = 20_000
LONGEST_TRANSCRIPT = 400_000
MOST_COST = Decimal("999999.9999")

# 627 values are documented and more come: groups by exact value, then by how it begins, then by what is in it.
EXACT = {
    "silence-timed-out": Group.SILENCE,
    "exceeded-max-duration": Group.TIME_LIMIT,
    "voicemail": Group.VOICEMAIL,
    "assistant-forwarded-call": Group.TRANSFERRED,
    "customer-did-not-answer": Group.NEVER_WORKED,
    "customer-busy": Group.NEVER_WORKED,
    "assistant-not-found": Group.NEVER_WORKED,
    "assistant-not-valid": Group.NEVER_WORKED,
    "assistant-not-provided": Group.NEVER_WORKED,
    "assistant-join-timed-out": Group.NEVER_WORKED,
    "worker-shutdown": Group.VAPI_FAULT,
    "unknown-error": Group.VAPI_FAULT,
}
BEGINNINGS = (
    ("call.start.error-", Group.NEVER_WORKED),
    ("call-start-error-", Group.NEVER_WORKED),
    ("assistant-request-", Group.NEVER_WORKED),
    ("call.forwarding.", Group.TRANSFER_FAILED),
    ("call.ringing.", Group.NEVER_WORKED),
    ("pipeline-error-", Group.PROVIDER_FAULT),
    ("call.in-progress.error-vapifault-", Group.VAPI_FAULT),
    ("call.in-progress.error-providerfault-", Group.PROVIDER_FAULT),
    ("customer-", Group.CALLER),
    ("assistant-", Group.ASSISTANT),
)
WITHIN = (("vapifault", Group.VAPI_FAULT), ("providerfault", Group.PROVIDER_FAULT))


@dataclass(frozen=True, slots=True)
class Completion:
    """What is known of a call's end. ``reported`` is how its report was learnt; blank for a mere status."""

    ended_reason: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cost: Decimal | None = None
    sentiment: str = ""
    summary: str = field(default="", repr=False)
    transcript: str = field(default="", repr=False)
    reported: str = ""


@dataclass(frozen=True, slots=True)
class RecordingFacts:
    """Where a call's recording lies: blank where nobody said. The address is a capability while it lasts, and differs
    in each delivery."""

    url: str = field(repr=False)
    stereo_url: str = field(default="", repr=False)
    expires_at: datetime | None = None


def ended_group(reason: str) -> Group:
    """The kind of reason; an unknown one is OTHER, none at all is NONE."""
    if not reason:
        return Group.NONE
    if reason in EXACT:
        return EXACT[reason]
    found = next((group for start, group in BEGINNINGS if reason.startswith(start)), None)
    return found or next((group for part, group in WITHIN if part in reason), Group.OTHER)


def completion_of(report: Mapping[str, Any], learnt: str) -> Completion:
    """Reads an end-of-call-report."""
    analysis, artifact = _mapping(report.get("analysis")), _mapping(report.get("artifact"))
    return Completion(
        ended_reason=text(report.get("endedReason"), 120),
        started_at=instant(report.get("startedAt")),
        ended_at=instant(report.get("endedAt")),
        cost=_cost(report.get("cost")),
        sentiment=_sentiment(analysis, artifact),
        summary=text(analysis.get("summary") or report.get("summary"), LONGEST_SUMMARY),
        transcript=text(artifact.get("transcript") or report.get("transcript"), LONGEST_TRANSCRIPT),
        reported=learnt,
    )


def recording_of(report: Mapping[str, Any]) -> RecordingFacts:
    """The recording's address: in the artifact, then where older reports had it; blank when none is told."""
    artifact = _mapping(report.get("artifact"))
    recording = _mapping(artifact.get("recording"))
    mono = _mapping(recording.get("mono"))
    url = _first(
        mono.get("combinedUrl"),
        artifact.get("presignedMonoUrl"),
        artifact.get("recordingUrl"),
        report.get("recordingUrl"),
    )
    stereo = _first(
        recording.get("stereoUrl"),
        artifact.get("presignedStereoUrl"),
        artifact.get("stereoRecordingUrl"),
        report.get("stereoRecordingUrl"),
    )
    return RecordingFacts(url or stereo, stereo, instant(artifact.get("presignedUrlsExpiresAt")))


def _first(*values: Any) -> str:
    """A longer one than any address is none, and cut nowhere that leaves it one."""
    found = (text(value, LONGEST_ADDRESS + 1) for value in values)
    return next((value for value in found if value and len(value) <= LONGEST_ADDRESS), "")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _cost(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        cost = Decimal(str(value)).quantize(Decimal("0.0001"))
    except InvalidOperation:
        return None
    return cost if 0 <= cost <= MOST_COST else None


def _sentiment(analysis: Mapping[str, Any], artifact: Mapping[str, Any]) -> str:
    """Where a clinic's analysis plan asks for it: in the structured data, or an output of that name."""
    found = text(_mapping(analysis.get("structuredData")).get("sentiment"), 20)
    if found:
        return found.lower()
    outputs = _mapping(artifact.get("structuredOutputs")).values()
    named = [_mapping(each) for each in outputs]
    results = (each.get("result") for each in named if text(each.get("name")).lower() == "sentiment")
    return next((found for found in (text(result, 20).lower() for result in results) if found), "")
