"""The clinic's calls that are up now, as PostgreSQL knows them."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from telephony.live.feed import LONGEST_TEXT, call_facts
from telephony.models import Call, ToolInvocation
from voxanne.tenancy.scope import org_scope

# No call lasts longer (Twilio's time limit); one that is older has lost its end.
LONGEST_CALL = timedelta(hours=4)
MOST_CALLS = 100
MOST_TOOLS = 500


def live_calls(org_id: UUID) -> list[dict[str, Any]]:
    """Each live call with the tools used so far, newest call first. ``transcript`` is for those who may read it."""
    with org_scope(org_id):
        recent = Call.objects.filter(org_id=org_id, created_at__gte=timezone.now() - LONGEST_CALL)
        calls = list(recent.exclude(status=Call.Status.ENDED).order_by("-created_at")[:MOST_CALLS])
        used = _tools_used(org_id, [call.pk for call in calls])
    return [
        {
            "callId": str(call.pk),
            **call_facts(call),
            "tools": used[call.pk],
            "transcript": call.transcript[-LONGEST_TEXT:],
        }
        for call in calls
    ]


def without_transcripts(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in call.items() if name != "transcript"} for call in calls]


def _tools_used(org_id: UUID, call_ids: list[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    used: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    if call_ids:
        rows = ToolInvocation.objects.filter(org_id=org_id, call_id__in=call_ids).exclude(outcome="")
        for row in rows.order_by("created_at")[:MOST_TOOLS]:
            used[row.call_id].append(
                {"tool": row.tool, "outcome": row.outcome, "at": row.created_at.isoformat()}
            )
    return used
