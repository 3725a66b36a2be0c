"""Twilio's voice requests as a test posts them: signed by an account over our public address."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.test import Client
from twilio.request_validator import RequestValidator

from telephony.models import ActiveCall, PhoneNumber
from tests.clinics import Clinic
from voxanne.tenancy.scope import org_scope

VOICE = "/api/webhooks/twilio/voice"
RESULT = f"{VOICE}?mode=dial-result"
STATUS = "/api/webhooks/twilio/call-status"
CALLER = "+14155550142"
CLIENT = Client(raise_request_exception=False, enforce_csrf_checks=True)
_serial = count(1)


def new_sid() -> str:
    return f"CA{next(_serial):032x}"


def post(path: str, form: dict[str, str], token: str | None = None) -> Any:
    """A request signed with ``token``, else with the platform's."""
    wanted = settings.TWILIO_AUTH_TOKEN if token is None else token
    signature = RequestValidator(wanted).compute_signature(f"{settings.BACKEND_URL}{path}", form)
    kind = "application/x-www-form-urlencoded"
    return CLIENT.post(
        path, urlencode(form), content_type=kind, headers={"X-Twilio-Signature": str(signature)}
    )


@dataclass
class Ringing:
    """One call to a clinic's number."""

    clinic: Clinic
    sid: str
    caller: str = CALLER

    def form(self, **more: str) -> dict[str, str]:
        form = {
            "CallSid": self.sid,
            "AccountSid": settings.TWILIO_ACCOUNT_SID,
            "From": self.caller,
            "To": self.clinic.number,
            "CallStatus": "ringing",
            "Direction": "inbound",
            "ApiVersion": "2010-04-01",
        }
        return {**form, **more}

    def rings(self, **more: str) -> str:
        """The TwiML that a new call gets."""
        answer = post(VOICE, self.form(**more))
        assert answer.status_code == 200, answer.content
        assert answer.headers["Content-Type"].startswith("text/xml")
        return str(answer.content.decode())

    def dial_ends(self, status: str, address: str = RESULT, **more: str) -> str:
        leg = {"DialCallStatus": status, "DialCallSid": new_sid(), "CallStatus": "in-progress"}
        answer = post(address, self.form(**{**leg, **more}))
        assert answer.status_code == 200, answer.content
        return str(answer.content.decode())

    def row(self) -> ActiveCall:
        with org_scope(self.clinic.id):
            found: ActiveCall = ActiveCall.objects.get(call_sid=self.sid)
        return found


def call(clinic: Clinic, caller: str = CALLER) -> Ringing:
    return Ringing(clinic, new_sid(), caller)


def set_up(clinic: Clinic, **columns: Any) -> PhoneNumber:
    """Changes how the clinic's number is set up."""
    with org_scope(clinic.id):
        number = PhoneNumber.objects.get(number=clinic.number)
        for name, value in columns.items():
            setattr(number, name, value)
        number.save(update_fields=list(columns))
    return number
