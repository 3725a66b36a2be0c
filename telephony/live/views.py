"""The web port's answer to those who look for the sockets there."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from monitoring.errors import error_response


@csrf_exempt
def elsewhere(request: HttpRequest) -> HttpResponse:
    """426, naming where the sockets are."""
    return error_response(
        426,
        "upgrade_required",
        "This is a WebSocket address; details.ws_url names it.",
        {"ws_url": settings.WS_URL},
        headers={"Upgrade": "websocket"},
    )
