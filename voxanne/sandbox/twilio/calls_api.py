"""Twilio's REST addresses for calls, and for asking which numbers and account exist."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from voxanne.sandbox.exchange import Exchange
from voxanne.sandbox.formats import rfc2822
from voxanne.sandbox.twilio.accounts import Accounts, Number
from voxanne.sandbox.twilio.call_player import CallPlayer
from voxanne.sandbox.twilio.calls import ENDED, Call, Calls
from voxanne.sandbox.twilio.errors import TwilioError
from voxanne.sandbox.twilio.messages import API_VERSION
from voxanne.sandbox.twilio.pages import page, within

LONGEST_TWIML = 4000
UNSET = (
    "address_sid",
    "bundle_sid",
    "emergency_address_sid",
    "identity_sid",
    "sms_application_sid",
    "sms_fallback_url",
    "trunk_sid",
    "voice_application_sid",
)
METHODS = (
    "sms_fallback_method",
    "sms_method",
    "status_callback_method",
    "voice_fallback_method",
    "voice_method",
)


class CallsApi:
    """List, fetch, update and delete."""

    def __init__(self, calls: Calls, player: CallPlayer) -> None:
        self._calls = calls
        self._player = player

    async def list(self, exchange: Exchange, path: dict[str, str]) -> Response:
        query = exchange.query
        started_within, ended_within = within(query, "StartTime"), within(query, "EndTime")
        chosen = [
            call
            for call in self._calls.newest_first()
            if call.account_sid == path["account_sid"]
            and query.get("To") in (None, call.to)
            and query.get("From") in (None, call.sender)
            and query.get("Status") in (None, call.status)
            and query.get("ParentCallSid") in (None, call.parent_call_sid)
            and started_within(call.started_at)
            and ended_within(call.ended_at)
        ]
        address = f"/{API_VERSION}/Accounts/{path['account_sid']}/Calls.json"
        return JSONResponse(page(address, query, chosen, "calls"))

    async def fetch(self, exchange: Exchange, path: dict[str, str]) -> Response:
        return JSONResponse(self._find(path).resource())

    async def update(self, exchange: Exchange, path: dict[str, str]) -> Response:
        """End a live call with ``Status``, or give it new instructions with ``Twiml`` or ``Url``."""
        call = self._find(path)
        form = exchange.form
        if call.status in ENDED:
            raise TwilioError(21220, "Call is not in-progress. Cannot redirect.")
        status = form.get("Status")
        if status is not None and status not in ("completed", "canceled"):
            raise TwilioError(21218, "Invalid CallStatus. Must be either 'canceled' or 'completed'.")
        if len(form.get("Twiml", "")) > LONGEST_TWIML:
            raise TwilioError(21221, "Twiml is longer than 4000 characters")
        if status is not None:
            self._player.end(call, status)
        elif form.get("Twiml") or form.get("Url"):
            self._player.redirect(call, form.get("Twiml", ""), form.get("Url", ""))
        return JSONResponse(call.resource())

    async def delete(self, exchange: Exchange, path: dict[str, str]) -> Response:
        self._calls.remove(self._find(path))
        return Response(status_code=204)

    def _find(self, path: dict[str, str]) -> Call:
        call = self._calls.find(path["sid"])
        if call is None or call.account_sid != path["account_sid"]:
            raise TwilioError(20404)
        return call


class NumbersApi:
    """The account itself and its incoming numbers; the numbers' addresses can be changed."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def account(self, exchange: Exchange, path: dict[str, str]) -> Response:
        sid = path["account_sid"]
        base = f"/{API_VERSION}/Accounts/{sid}"
        body = {
            "auth_token": "",
            "date_created": rfc2822(0.0),
            "date_updated": rfc2822(0.0),
            "friendly_name": "Sandbox",
            "owner_account_sid": sid,
            "sid": sid,
            "status": "active",
            "subresource_uris": {
                name.lower(): f"{base}/{name}.json" for name in ("Calls", "Messages", "IncomingPhoneNumbers")
            },
            "type": "Full",
            "uri": f"{base}.json",
        }
        return JSONResponse(body)

    async def list(self, exchange: Exchange, path: dict[str, str]) -> Response:
        wanted = exchange.query.get("PhoneNumber")
        chosen = [
            _Listed(number)
            for number in self._accounts.numbers(path["account_sid"])
            if wanted is None or wanted in number.number
        ]
        address = f"/{API_VERSION}/Accounts/{path['account_sid']}/IncomingPhoneNumbers.json"
        return JSONResponse(page(address, exchange.query, chosen, "incoming_phone_numbers"))

    async def fetch(self, exchange: Exchange, path: dict[str, str]) -> Response:
        return JSONResponse(_Listed(self._find(path)).resource())

    async def update(self, exchange: Exchange, path: dict[str, str]) -> Response:
        number = self._find(path)
        members = {"VoiceUrl": "voice_url", "VoiceFallbackUrl": "voice_fallback_url", "SmsUrl": "sms_url"}
        for parameter, name in {**members, "StatusCallback": "status_url", "FriendlyName": "name"}.items():
            setattr(number, name, exchange.form.get(parameter, getattr(number, name)))
        self._accounts.configure_number(number)
        return JSONResponse(_Listed(number).resource())

    def _find(self, path: dict[str, str]) -> Number:
        for number in self._accounts.numbers(path["account_sid"]):
            if number.sid == path["sid"]:
                return number
        raise TwilioError(20404)


class _Listed:
    """A number as the IncomingPhoneNumber resource."""

    def __init__(self, number: Number) -> None:
        self._number = number
        self.sid = number.sid

    def resource(self) -> dict[str, Any]:
        number = self._number
        base = f"/{API_VERSION}/Accounts/{number.account_sid}/IncomingPhoneNumbers"
        return {
            **dict.fromkeys(UNSET),
            **dict.fromkeys(METHODS, "POST"),
            "account_sid": number.account_sid,
            "address_requirements": "none",
            "api_version": API_VERSION,
            "beta": False,
            "capabilities": {"voice": True, "sms": True, "mms": True, "fax": False},
            "date_created": rfc2822(0.0),
            "date_updated": rfc2822(0.0),
            "emergency_address_status": "unregistered",
            "emergency_status": "Inactive",
            "friendly_name": number.name or number.number,
            "origin": "twilio",
            "phone_number": number.number,
            "sid": number.sid,
            "sms_url": number.sms_url or None,
            "status": "in-use",
            "status_callback": number.status_url or None,
            "type": "local",
            "uri": f"{base}/{number.sid}.json",
            "voice_caller_id_lookup": False,
            "voice_fallback_url": number.voice_fallback_url or None,
            "voice_receive_mode": "voice",
            "voice_url": number.voice_url or None,
        }
