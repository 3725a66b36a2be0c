"""What the phone page shows, out of what the providers know: phones with their texts and calls."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from voxanne.sandbox.formats import iso_milliseconds
from voxanne.sandbox.state import Sandbox
from voxanne.sandbox.twilio.calls import Call
from voxanne.sandbox.twilio.messages import Message
from voxanne.sandbox.twilio.whatsapp import is_whatsapp
from voxanne.sandbox.vapi.records import VapiRecord

MOST_PHONES = 200
MOST_TEXTS = 200
MOST_CALLS = 30

Shown = dict[str, Any]


class PhoneView:
    """Projects the state; nothing is kept here."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def everything(self) -> Shown:
        """The phones, the one with the latest news first, and our own numbers."""
        texts, calls = self._texts(), self._calls()
        phones = [
            {
                "number": number,
                "name": self._sandbox.phone_book.names.get(number, ""),
                "texts": texts[number][-MOST_TEXTS:],
                "calls": calls[number][-MOST_CALLS:],
            }
            for number in {*texts, *calls, *self._sandbox.phone_book.names}
        ]
        phones.sort(key=_latest, reverse=True)
        numbers = [
            {
                "number": one.number,
                "name": one.name,
                "takes_texts": bool(one.sms_url),
                "takes_calls": bool(one.voice_url),
            }
            for one in self._sandbox.accounts.numbers()
        ]
        return {"phones": phones[:MOST_PHONES], "numbers": numbers}

    def news(self, kind: str, data: dict[str, Any]) -> Shown | None:
        """One piece of news from the bus as the page takes it, None when it does not concern the page."""
        if kind == "message":
            message = self._sandbox.messages.find(data["sid"])
            return {"kind": "text", "data": _text(message)} if message else None
        if kind == "vapi":
            record = self._sandbox.vapi_records.find("call", data["id"])
            shown = self._vapi_call(record) if record else None
            return {"kind": "call", "data": shown} if shown else None
        if kind == "call":
            return self._twilio_news(data["sid"])
        return {"kind": kind} if kind == "resync" else None

    def _twilio_news(self, sid: str) -> Shown | None:
        call = self._sandbox.calls.find(sid)
        if call is None or call.parent_call_sid is not None:
            return None
        record = self._sandbox.vapi_records.call_of_provider(sid)
        shown = self._vapi_call(record) if record else _twilio_call(call)
        return {"kind": "call", "data": shown} if shown else None

    def _texts(self) -> defaultdict[str, list[Shown]]:
        by_phone: defaultdict[str, list[Shown]] = defaultdict(list)
        for message in reversed(self._sandbox.messages.newest_first()):
            by_phone[message.phone].append(_text(message))
        return by_phone

    def _calls(self) -> defaultdict[str, list[Shown]]:
        by_phone: defaultdict[str, list[Shown]] = defaultdict(list)
        merged = set()
        for record in self._sandbox.vapi_records.all("call"):
            shown = self._vapi_call(record)
            if shown is not None:
                merged.add(record.get("phoneCallProviderId"))
                by_phone[shown["phone"]].append(shown)
        for call in reversed(self._sandbox.calls.newest_first()):
            if call.parent_call_sid is None and call.sid not in merged:
                by_phone[call.sender].append(_twilio_call(call))
        for calls in by_phone.values():
            calls.sort(key=lambda call: str(call["at"]))
        return by_phone

    def _vapi_call(self, record: VapiRecord) -> Shown | None:
        """The call with its timeline; the Twilio leg it rode on is told first."""
        phone = (record.get("customer") or {}).get("number")
        if not phone:
            return None
        described = self._sandbox.vapi_records.describe_call(record)
        leg = self._sandbox.calls.find(str(record.get("phoneCallProviderId", "")))
        events = sorted((leg.timeline if leg else []) + described["events"], key=lambda one: str(one["at"]))
        return {
            "id": record["id"],
            "phone": phone,
            "clinic": (record.get("phoneNumber") or {}).get("number", leg.to if leg else ""),
            "status": record.get("status", ""),
            "ended_reason": record.get("endedReason", ""),
            "at": record.get("startedAt") or record["createdAt"],
            "ended_at": record.get("endedAt"),
            "events": events,
        }


def _text(message: Message) -> Shown:
    return {
        "sid": message.sid,
        "phone": message.phone,
        "clinic": message.clinic_number,
        "channel": "whatsapp" if is_whatsapp(message.to) else "sms",
        "from_clinic": message.direction != "inbound",
        "body": message.body,
        "status": message.status,
        "error_code": message.error_code,
        "at": iso_milliseconds(message.created_at),
    }


def _twilio_call(call: Call) -> Shown:
    return {
        "id": call.sid,
        "phone": call.sender,
        "clinic": call.to,
        "status": call.status,
        "ended_reason": "",
        "at": iso_milliseconds(call.created_at),
        "ended_at": iso_milliseconds(call.ended_at),
        "events": call.timeline,
    }


def _latest(phone: Shown) -> str:
    moments = [str(one["at"]) for one in (*phone["texts"][-1:], *phone["calls"][-1:])]
    return max(moments, default="")
