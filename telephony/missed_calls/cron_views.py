"""The addresses for those who schedule from outside: one poll now, one clean-up now."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from monitoring.access import cron_access
from telephony.missed_calls.polling import check_missed_calls as poll
from telephony.missed_calls.retention import cleanup_old_calls as clean_up
from telephony.never_dead.unheard_calls import take_in


@cron_access
@require_http_methods(["GET", "POST"])
def check_missed_calls(request: HttpRequest) -> JsonResponse:
    """Safe beside our own poller and beside another of these: each call is settled once."""
    take_in()
    came_to = poll()
    return JsonResponse(
        {
            "processed": came_to.processed,
            "missedDetected": came_to.missed,
            "stillActive": came_to.still_active,
            "timestamp": timezone.now().isoformat(),
        }
    )


@cron_access
@require_http_methods(["DELETE", "POST"])
def cleanup_old_calls(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"deleted": clean_up()})
