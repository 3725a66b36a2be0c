"""Reports of 200 kB acknowledged: ``python -m tests.benchmarks.webhooks`` alone, and a row of ``make bench``.

A report repeats the assistant's configuration and the conversation several times; the words themselves are the least
of it. What one costs is read from the processor time of the web server and of PostgreSQL.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import time
import uuid
from typing import Any

from tests.benchmarks.load import Measured, http_request, run_clients
from tests.benchmarks.processes import command_of, postgres_processes, seconds_of
from tests.benchmarks.stack import Stack, descendants, running_stack

CLIENTS = 30
EACH = 20
BAR = 80
SIZE = 200_000
WORDS = [
    f"{first}{second}"
    for first in ("ta", "mor", "ne", "qui", "so")
    for second in ("ble", "ning", "ver", "et", "me")
]
Cost = dict[str, float]


def _line(words: int = 18) -> str:
    """Words as they fall: a sentence said two hundred times would shrink to nothing."""
    return " ".join(random.choice(WORDS) + random.choice(WORDS) for _ in range(words))


def report(clinic: dict[str, Any]) -> bytes:
    """One signed report of about 200 kB, of a call of its own."""
    turns = [
        {
            "role": "user",
            "message": _line(),
            "time": 1795160434000.5,
            "endTime": 1795160437000,
            "secondsFromStart": 4.9,
        }
        for _ in range(150)
    ]
    spoken = [{"role": turn["role"], "content": turn["message"]} for turn in turns]
    prompt = {"role": "system", "content": _line(2500)}
    message: dict[str, Any] = {
        "type": "end-of-call-report",
        "timestamp": int(time.time() * 1000),
        "endedReason": "customer-ended-call",
        "startedAt": "2026-11-20T09:00:29.100Z",
        "endedAt": "2026-11-20T09:04:58.400Z",
        "cost": 0.31,
        "analysis": {"summary": _line(), "successEvaluation": "true"},
        "artifact": {
            "transcript": "".join(f"User: {turn['message']}\n" for turn in turns),
            "messages": turns,
            "messagesOpenAIFormatted": spoken,
        },
        "messages": turns,
        "assistant": {"name": "Reception", "model": {"messages": [prompt]}},
        "call": {
            "id": str(uuid.uuid4()),
            "type": "inboundPhoneCall",
            "phoneNumberId": clinic["vapi_phone_number_id"],
        },
        "phoneNumber": {"id": clinic["vapi_phone_number_id"], "number": clinic["number"]},
    }
    short = SIZE - len(json.dumps({"message": message}))
    message["artifact"]["transcript"] += _line(max(short, 0) // 8)
    body = json.dumps({"message": message}).encode()
    stamp = str(int(time.time()))
    digest = hmac.new(
        clinic["vapi_secret"].encode(), stamp.encode() + b"." + body, hashlib.sha256
    ).hexdigest()
    headers = {"Content-Type": "application/json", "x-vapi-timestamp": stamp, "x-vapi-signature": digest}
    return http_request("POST", "/api/webhooks/vapi", headers, body)


def measure(stack: Stack, clients: int, each: int) -> tuple[Measured, Cost]:
    """The acknowledgements, and the milliseconds of processor time a report, by who spent them."""
    clinic = stack.seeded["clinics"][0]
    warm = [[report(clinic) for _ in range(3)] for _ in range(8)]
    run_clients(stack.port, warm, _acknowledged)
    requests = [[report(clinic) for _ in range(each)] for _ in range(clients)]
    before = _spent(stack)
    measured = run_clients(stack.port, requests, _acknowledged)
    after = _spent(stack)
    spent = {who: (after[who] - before.get(who, 0.0)) * 1000 / (clients * each) for who in after}
    return measured, spent


def _acknowledged(status: int, body: bytes) -> bool:
    return status == 200 and body == b"{}"


def _spent(stack: Stack) -> Cost:
    """Seconds of processor time so far of the stack's processes, by what they are."""
    spent: Cost = {}
    for each in [stack.pid, *descendants(stack.pid), *postgres_processes(stack.data)]:
        line = command_of(each)
        who = next((name for name in ("granian", "celery", "postgres") if name in line), "other")
        spent[who] = spent.get(who, 0.0) + seconds_of([each])
    return spent


def main() -> int:
    with running_stack() as stack:
        for clients, each in ((1, 60), (CLIENTS, EACH)):
            measured, spent = measure(stack, clients, each)
            null = run_clients(
                stack.port,
                [[http_request("GET", "/health/live", {})] * each] * clients,
                lambda status, _: status == 200,
            )
            shares = ", ".join(f"{who} {milliseconds:.1f} ms" for who, milliseconds in sorted(spent.items()))
            print(
                f"{clients} clients: p50 {measured.percentile(50):.1f} p95 {measured.percentile(95):.1f} ms, "
                f"{measured.per_second:.0f}/s, errors {measured.errors} {measured.first_error}; a report: {shares}; "
                f"null view p50 {null.percentile(50):.1f} p95 {null.percentile(95):.1f} ms, {null.per_second:.0f}/s"
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
