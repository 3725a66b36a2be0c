"""What operations asks about texts: ``/api/monitoring/sms-…`` (contract, sections 2 and 6)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from messaging.models import Message
from messaging.outbox import SMS_WORK
from messaging.queue_health import (
    DeliveryStats,
    concerns,
    dead_letters_now,
    get_sms_delivery_stats,
    queue_now,
    status_of,
)
from messaging.sending.standing import standing_concerns
from messaging.states import MessageState
from messaging.undelivered.dead_letters import Redriven, get_dead_letter_sms, redrive
from monitoring.access import monitoring_access
from monitoring.errors import error_response
from monitoring.listing import LimitUnclear, limit_of
from monitoring.masking import mask_phone, mask_text
from voxanne.tenancy.models import User

RECENT = 10
DEFAULT_LIMIT = 100
IN_DOUBT = "Nobody knows whether it arrived: a person decides about it on its staff page, told that it may come twice."


@monitoring_access
@require_safe
def sms_queue_health(request: HttpRequest) -> JsonResponse:
    """The queue, a day's deliveries and what is wrong; 200 whatever they say."""
    queue, stats, dead = queue_now(), get_sms_delivery_stats(None), dead_letters_now()
    body = {
        "status": status_of(queue, stats),
        "timestamp": timezone.now().isoformat(),
        "queue": {
            "queueName": SMS_WORK,
            "healthy": queue.healthy,
            "counts": {
                "waiting": queue.waiting,
                "active": queue.active,
                "completed": stats.completed,
                "failed": dead.open,
                "delayed": queue.delayed,
            },
            "oldestWaitingSeconds": queue.oldest_waiting_seconds,
        },
        "delivery": {
            "last24Hours": _last_day(stats),
            "deadLetterQueueCount": dead.open,
            "recentFailures": [_failure(message) for message in get_dead_letter_sms(RECENT)],
        },
        "alerts": [asdict(concern) for concern in [*concerns(queue, stats, dead), *standing_concerns()]],
    }
    return JsonResponse(body)


def _last_day(stats: DeliveryStats) -> dict[str, Any] | None:
    if not stats.total_sent:
        return None
    return {
        "totalSent": stats.total_sent,
        "delivered": stats.delivered,
        "failed": stats.failed,
        "deadLetter": stats.dead_letter,
        "successRate": stats.success_rate,
        "avgDeliveryTimeMs": stats.avg_delivery_time_ms,
    }


def _failure(message: Message) -> dict[str, Any]:
    return {
        "messageId": str(message.pk),
        "orgId": str(message.org_id),
        "recipient": mask_phone(message.recipient),
        "error": mask_text(message.last_error),
        "attempts": message.attempts,
        "createdAt": message.created_at.isoformat(),
    }


@monitoring_access
@require_safe
def sms_dead_letter_queue(request: HttpRequest) -> JsonResponse:
    """The newest dead letters of every clinic, at most ``limit`` (1 to 500)."""
    try:
        limit = limit_of(request, DEFAULT_LIMIT)
    except LimitUnclear as unclear:
        return unclear.response
    listed = [_dead_letter(message) for message in get_dead_letter_sms(limit)]
    return JsonResponse({"count": len(listed), "sms": listed})


def _dead_letter(message: Message) -> dict[str, Any]:
    gave_up = message.dead_lettered_at
    return {
        **_failure(message),
        "errorCode": message.error_code,
        "deadLetteredAt": gave_up.isoformat() if gave_up else None,
    }


@monitoring_access
@require_POST
def sms_retry_dead_letter(request: HttpRequest, message_id: UUID) -> JsonResponse:
    """Puts one dead letter back in the queue; 404 for an unknown message, 409 for one that is not dead, is too
    late, or may have arrived."""
    match redrive(message_id, reason="Redriven through the monitoring address.", actor=_operator(request)):
        case Redriven.DONE:
            return JsonResponse(
                {"success": True, "messageId": str(message_id), "status": MessageState.QUEUED.value}
            )
        case Redriven.UNKNOWN:
            return error_response(404, "not_found", "There is no message with this id.")
        case Redriven.TOO_LATE:
            return error_response(
                409,
                "too_late",
                "Its time has passed, or what it was about no longer stands: such a text is not sent.",
            )
        case Redriven.IN_DOUBT:
            return error_response(409, "fate_unproven", IN_DOUBT)
        case _:
            return error_response(
                409, "not_dead_lettered", "The message is not a dead letter, or not any more."
            )


def _operator(request: HttpRequest) -> User | None:
    """The platform operator whose session lets them in; None for a token, which is nobody's."""
    person = getattr(request, "user", None)
    by_token = "Authorization" in request.headers
    return person if isinstance(person, User) and not by_token else None
