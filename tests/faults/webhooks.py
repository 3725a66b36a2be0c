"""Vapi's messages that want no reply, posted as Vapi posts them, and what becomes of them in the ledger."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from typing import Any

from tests.faults.stack import Stack

PATH = "/api/webhooks/vapi"
SENDERS = 8
ANSWER_SECONDS = 30.0
STATES = "SELECT state FROM webhook_delivery_log WHERE created_at >= %s"
ENDED = """
SELECT count(*) FROM calls WHERE created_at >= %(mark)s AND status = 'ended' AND report_learnt = 'told'
   AND transcript <> ''
"""
EVENTS = "SELECT count(*) FROM call_events WHERE created_at >= %(mark)s"


@dataclass
class Posted:
    """How the posts were answered."""

    acknowledged: int = 0
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)


def messages_of_calls(clinic: dict[str, Any], calls: int) -> list[bytes]:
    """For each of so many calls the news of its end, and its report: two messages a call."""
    return [body for _ in range(calls) for body in _of_one_call(clinic)]


def _of_one_call(clinic: dict[str, Any]) -> list[bytes]:
    number = {"id": clinic["vapi_phone_number_id"], "number": clinic["number"]}
    call = {"id": str(uuid.uuid4()), "type": "inboundPhoneCall", "phoneNumberId": number["id"]}
    common = {"call": call, "phoneNumber": number, "timestamp": int(time.time() * 1000)}
    report = {"endedReason": "customer-ended-call", "artifact": {"transcript": "AI: Hello.\nUser: Hello.\n"}}
    ended = {"type": "status-update", "status": "ended", **common}
    return [
        json.dumps({"message": each}).encode()
        for each in (ended, {"type": "end-of-call-report", **report, **common})
    ]


def post_all(stack: Stack, bodies: Sequence[bytes]) -> Posted:
    """Posts every body once, by a few senders at a time."""
    posted, lock = Posted(), threading.Lock()

    def send(share: Sequence[bytes]) -> None:
        http = HTTPConnection("127.0.0.1", stack.options.port, timeout=ANSWER_SECONDS)
        for body in share:
            began = time.perf_counter()
            fault = _post(http, body, stack.clinic["vapi_secret"])
            taken = (time.perf_counter() - began) * 1000
            with lock:
                posted.slowest = max(posted.slowest, taken)
                posted.acknowledged += not fault
                posted.faults += [fault] if fault else []
        http.close()

    threads = [threading.Thread(target=send, args=(bodies[index::SENDERS],)) for index in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return posted


def _post(http: HTTPConnection, body: bytes, secret: str) -> str:
    """What went wrong; blank when it was acknowledged."""
    stamp = str(int(time.time()))
    signed = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "x-vapi-timestamp": stamp, "x-vapi-signature": signed}
    try:
        http.request("POST", PATH, body, headers)
        answer = http.getresponse()
        said = answer.read()
    except (OSError, HTTPException) as error:
        http.close()
        return repr(error)
    return "" if answer.status == 200 else f"status {answer.status}: {said[:100]!r}"


def states_since(stack: Stack, mark: datetime) -> Counter[str]:
    """The ledger's rows since ``mark``, by state."""
    return Counter(state for (state,) in stack.database.execute(STATES, [mark]).fetchall())
