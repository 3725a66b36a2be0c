"""What operations asks about webhooks: ``/api/monitoring/webhooks`` (contract, section 2)."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from monitoring.access import monitoring_access
from monitoring.errors import error_response
from monitoring.listing import LimitUnclear, limit_of
from monitoring.masking import mask_text
from telephony.call_records.reliability import reliability
from telephony.models import WebhookDelivery
from telephony.vapi.payload import text
from telephony.webhooks.health import counts_by_state, last_failures, oldest_waiting_seconds
from telephony.webhooks.ledger import Replayed, replay
from telephony.webhooks.states import FAILED, WebhookState
from voxanne.tenancy.models import User

DEFAULT_LIMIT = 20
DEFAULT_REASON = "Replayed through the monitoring address."


@monitoring_access
@require_safe
def webhooks(request: HttpRequest) -> JsonResponse:
    """Counts by state, the last failures (``limit`` 1 to 500), and how calls' ends reached us; 200 whatever they
    say."""
    try:
        limit = limit_of(request, DEFAULT_LIMIT)
    except LimitUnclear as unclear:
        return unclear.response
    counts = counts_by_state()
    ends = reliability()
    body = {
        "timestamp": timezone.now().isoformat(),
        "counts": {
            "pending": counts[WebhookState.PENDING],
            "processing": counts[WebhookState.PROCESSING],
            "completed": counts[WebhookState.COMPLETED],
            "failed": counts[FAILED],
            "deadLetter": counts[WebhookState.DEAD_LETTER],
        },
        "oldestWaitingSeconds": oldest_waiting_seconds(),
        "lastFailures": [_failure(delivery) for delivery in last_failures(limit)],
        "callReports": {
            "told": ends.told,
            "askedFor": ends.asked,
            "missing": ends.missing,
            "reliability": ends.share,
        },
    }
    return JsonResponse(body)


def _failure(delivery: WebhookDelivery) -> dict[str, Any]:
    dead = delivery.state == WebhookState.DEAD_LETTER
    return {
        "webhookId": str(delivery.pk),
        "orgId": str(delivery.org_id),
        "provider": delivery.provider,
        "type": mask_text(delivery.event_type),
        "state": WebhookState.DEAD_LETTER.value if dead else FAILED,
        "error": mask_text(delivery.last_error),
        "attempts": delivery.attempts,
        "replays": delivery.replays,
        "createdAt": delivery.created_at.isoformat(),
    }


@monitoring_access
@require_POST
def replay_webhook(request: HttpRequest, webhook_id: UUID) -> JsonResponse:
    """Works one webhook off once more, ``{"reason"}`` in the body if there is one to give; 404 for an unknown
    webhook, 409 for one that is not settled, or whose time is over."""
    person = getattr(request, "user", None)
    match replay(webhook_id, _reason(request), person if isinstance(person, User) else None):
        case Replayed.DONE:
            return JsonResponse(
                {"success": True, "webhookId": str(webhook_id), "status": WebhookState.PENDING.value}
            )
        case Replayed.UNKNOWN:
            return error_response(404, "not_found", "There is no webhook with this id.")
        case Replayed.PAYLOAD_GONE:
            return error_response(409, "payload_gone", "What this webhook said is not kept any more.")
        case _:
            return error_response(409, "not_settled", "The webhook is still being worked off.")


def _reason(request: HttpRequest) -> str:
    """The reason given in a JSON body; else that it came this way."""
    try:
        given = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        return DEFAULT_REASON
    return (text(given.get("reason"), 200) if isinstance(given, dict) else "") or DEFAULT_REASON
