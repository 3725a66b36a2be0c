"""Incoming texts: signed by the account that owns the number, stored once, answered with empty TwiML."""

from __future__ import annotations

import time

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from messaging.channels import parted
from messaging.conversation import media
from messaging.inbound import Received, clinic_texted_at
from monitoring import metrics
from monitoring.errors import error_response
from telephony.twilio.accounts import is_from_account_of
from telephony.twilio.received_texts import arrival_of
from telephony.vapi.payload import text
from telephony.webhooks import ledger
from telephony.webhooks.database_faults import answer_to

LONGEST_ADDRESS = 60
NO_REPLY = '<?xml version="1.0" encoding="UTF-8"?><Response/>'


def media_in(request: HttpRequest) -> tuple[dict[str, str], ...]:
    """Where the pictures and files of a text lie; what does not lie in its account at Twilio is left out."""
    form = request.POST
    pairs = [
        (form.get(f"MediaUrl{at}", ""), form.get(f"MediaContentType{at}", "")) for at in range(media.MOST)
    ]
    return tuple(media.kept(pairs, form.get("AccountSid", "")))


def _received(request: HttpRequest) -> Received:
    """WhatsApp's addresses carry a prefix, and its forms a name, and the button that was pressed."""
    channel, sender = parted(text(request.POST.get("From"), LONGEST_ADDRESS))
    button = text(request.POST.get("ButtonText"), 256)
    return Received(
        sid=text(request.POST.get("MessageSid"), 40),
        sender=sender[:20],
        recipient=parted(text(request.POST.get("To"), LONGEST_ADDRESS))[1][:20],
        body=text(request.POST.get("Body"), 5000) or button,
        opt_out_type=text(request.POST.get("OptOutType"), 10),
        channel=channel.value,
        profile_name=text(request.POST.get("ProfileName"), 120),
        button=text(request.POST.get("ButtonPayload"), 256) or button,
        media=media_in(request),
        service=text(request.POST.get("MessagingServiceSid"), 40),
    )


@csrf_exempt
@require_POST
def incoming_text(request: HttpRequest) -> HttpResponse:
    """Twilio itself replies to STOP, START and HELP; we only keep what was said."""
    began = time.perf_counter()
    received, texted_at = _received(request), text(request.POST.get("To"), LONGEST_ADDRESS)
    try:
        # A messaging service may have numbers that nobody told us of.
        clinic = clinic_texted_at(texted_at) or clinic_texted_at(received.service)
        if clinic is None or not is_from_account_of(request, clinic):
            return error_response(403, "forbidden", "The signature does not fit.")
        if not received.sid or not received.sender:
            return error_response(400, "invalid_request", "A text has a MessageSid and a From.")
        ledger.take_in(clinic.org_id, arrival_of(received))
    except DatabaseError as error:
        return answer_to(error)
    metrics.observe_webhook_ack("twilio", time.perf_counter() - began)
    return HttpResponse(NO_REPLY, content_type="text/xml")
