"""Twilio's delivery receipts: signed by the account that sent the text, applied to that text alone."""

from __future__ import annotations

from uuid import UUID

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from messaging.receipts import Receipt, apply_receipt
from messaging.senders import account_of_clinic
from monitoring.errors import error_response
from telephony.twilio.signature import is_signed


@csrf_exempt
@require_POST
def message_status(request: HttpRequest, message_id: UUID) -> HttpResponse:
    """204 for every receipt that is rightly signed, also one that says nothing new: Twilio need not repeat it."""
    try:
        return _apply(request, _clinic_of_message(message_id), message_id)
    except DatabaseError:
        return error_response(503, "database_unavailable", "The database cannot be reached; send it again.")


@csrf_exempt
@require_POST
def message_status_by_sid(request: HttpRequest) -> HttpResponse:
    """The same for receipts that come to the common address: the message is found by its SID."""
    try:
        org_id, message_id = _message_of_sid(request.POST.get("MessageSid", ""))
        return _apply(request, org_id, message_id)
    except DatabaseError:
        return error_response(503, "database_unavailable", "The database cannot be reached; send it again.")


def _apply(request: HttpRequest, org_id: UUID | None, message_id: UUID | None) -> HttpResponse:
    if org_id is None or message_id is None:
        return error_response(403, "forbidden", "The signature does not fit.")
    account = account_of_clinic(org_id)
    if request.POST.get("AccountSid") != account.sid or not is_signed(request, account.auth_token):
        return error_response(403, "forbidden", "The signature does not fit.")
    sid, status = request.POST.get("MessageSid", "")[:40], request.POST.get("MessageStatus", "")[:30]
    if "\x00" in sid or "\x00" in status:
        return error_response(400, "invalid_request", "A MessageSid and a MessageStatus hold no NUL.")
    code = request.POST.get("ErrorCode", "")
    receipt = Receipt(
        sid=sid,
        status=status,
        error_code=int(code) if code.isascii() and code.isdigit() and len(code) < 7 else None,
    )
    apply_receipt(org_id, message_id, receipt)
    return HttpResponse(status=204)


def _clinic_of_message(message_id: UUID) -> UUID | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clinic_of_message(%s)", [message_id])
        row = cursor.fetchone()
    return row[0] if row else None


def _message_of_sid(sid: str) -> tuple[UUID | None, UUID | None]:
    if not sid or "\x00" in sid:
        return None, None
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id, id FROM message_of_sid(%s)", [sid[:40]])
        rows = cursor.fetchall()
    return rows[0] if len(rows) == 1 else (None, None)
