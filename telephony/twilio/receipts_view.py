"""Twilio's delivery receipts: signed by the account that sent the text, applied to that text alone."""

from __future__ import annotations

from uuid import UUID

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from messaging.fates.receipts import Receipt, apply_receipt
from monitoring.errors import error_response
from telephony.twilio.accounts import is_from_account_of
from telephony.vapi.payload import text
from telephony.webhooks.database_faults import answer_to
from voxanne.statements import Statement
from voxanne.tenancy.plan_cache import ClinicKey

OF_MESSAGE = Statement("SELECT org_id, plan_version FROM clinic_of_message(%s::uuid)")
OF_SID = Statement("SELECT org_id, plan_version, message_id FROM message_of_sid(%s::text)")


@csrf_exempt
@require_POST
def message_status(request: HttpRequest, message_id: UUID) -> HttpResponse:
    """204 for every receipt that is rightly signed, also one that says nothing new: Twilio need not repeat it."""
    try:
        clinic = OF_MESSAGE.row([message_id])
        if clinic is None or not is_from_account_of(request, key := ClinicKey(*clinic)):
            return _refused()
        return _apply(request, key, message_id)
    except DatabaseError as error:
        return answer_to(error)


@csrf_exempt
@require_POST
def message_status_by_sid(request: HttpRequest) -> HttpResponse:
    """The same for receipts that come to the common address: the message is found by its SID. Another clinic may hold
    that SID too, for its own account signs whatever it likes: the receipt is for the one whose account signed it."""
    try:
        rows = OF_SID.rows([text(request.POST.get("MessageSid"), 40)])
        signed = [(key, pk) for *clinic, pk in rows if is_from_account_of(request, key := ClinicKey(*clinic))]
        # Of two clinics that send by one account nobody can tell whose it is.
        return _apply(request, *signed[0]) if len(signed) == 1 else _refused()
    except DatabaseError as error:
        return answer_to(error)


def _refused() -> HttpResponse:
    return error_response(403, "forbidden", "The signature does not fit.")


def _apply(request: HttpRequest, clinic: ClinicKey, message_id: UUID) -> HttpResponse:
    sid, status = request.POST.get("MessageSid", "")[:40], request.POST.get("MessageStatus", "")[:30]
    if "\x00" in sid or "\x00" in status:
        return error_response(400, "invalid_request", "A MessageSid and a MessageStatus hold no NUL.")
    code = request.POST.get("ErrorCode", "")
    receipt = Receipt(
        sid=sid,
        status=status,
        error_code=int(code) if code.isascii() and code.isdigit() and len(code) < 7 else None,
    )
    apply_receipt(clinic.org_id, message_id, receipt)
    return HttpResponse(status=204)
