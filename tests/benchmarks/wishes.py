"""Signed tool calls, prepared before the clock starts: each one books a time of its own."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
import uuid
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from tests.benchmarks.load import http_request

MINUTES = 5
STARTS_A_DAY = 96
PATH = "/api/vapi/tools"


def times_of(clinic: dict[str, Any], first_day: date) -> Iterator[tuple[str, str, str]]:
    """(provider id, date, HH:MM) of every five-minute visit at the clinic, provider by provider, day by day."""
    days = [first_day + timedelta(days=offset) for offset in range(330)]
    for day in (day for day in days if day.weekday() < 5):
        for index, provider in itertools.product(range(STARTS_A_DAY), clinic["providers"]):
            minute = 9 * 60 + index * MINUTES
            yield provider["id"], day.isoformat(), f"{minute // 60:02d}:{minute % 60:02d}"


def signed(clinic: dict[str, Any], tool: str, arguments: dict[str, Any], caller: str) -> bytes:
    """A whole signed HTTP request with one tool call, each in a call of its own."""
    call_id = str(uuid.uuid4())
    function = {"name": tool, "arguments": arguments}
    wanted = [{"id": f"call_{call_id[:8]}", "type": "function", "function": function}]
    call = {
        "id": call_id,
        "type": "inboundPhoneCall",
        "phoneNumberId": clinic["vapi_phone_number_id"],
        "customer": {"number": caller},
    }
    number = {"id": clinic["vapi_phone_number_id"], "number": clinic["number"]}
    message = {"type": "tool-calls", "toolCallList": wanted, "call": call, "phoneNumber": number}
    body = json.dumps({"message": {**message, "customer": {"number": caller}}}).encode()
    stamp = str(int(time.time()))
    digest = hmac.new(
        clinic["vapi_secret"].encode(), stamp.encode() + b"." + body, hashlib.sha256
    ).hexdigest()
    headers = {"Content-Type": "application/json", "x-vapi-timestamp": stamp, "x-vapi-signature": digest}
    return http_request("POST", PATH, headers, body)


def booking(clinic: dict[str, Any], when: tuple[str, str, str], caller: str) -> bytes:
    provider, day, at = when
    arguments = {
        "appointmentDate": day,
        "appointmentTime": at,
        "patientName": "Dana Ruiz",
        "provider": provider,
        "duration": MINUTES,
    }
    return signed(clinic, "bookClinicAppointment", arguments, caller)


def is_booked(status: int, body: bytes) -> bool:
    return status == 200 and b'\\"ok\\": true' in body
