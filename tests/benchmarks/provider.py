"""A stand-in for Twilio that costs next to nothing: ``python -m tests.benchmarks.provider PORT MILLISECONDS``.

It takes every text after that long with Twilio's own answer, and keeps when each clinic's arrived. The sandbox would
spend more of the shared processors on a text than the worker that is being measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

ACCOUNT = "AC" + "0" * 32
ACCEPTED: dict[str, Any] = {
    "account_sid": ACCOUNT, "api_version": "2010-04-01", "body": "", "date_created": "Thu, 26 Nov 2026 15:00:00 +0000",
    "date_sent": None, "date_updated": "Thu, 26 Nov 2026 15:00:00 +0000", "direction": "outbound-api",
    "error_code": None, "error_message": None, "from": "+14155550100", "messaging_service_sid": None, "num_media": "0",
    "num_segments": "1", "price": None, "price_unit": "USD", "status": "queued", "subresource_uris": {},
    "to": "+14155550142", "uri": "/2010-04-01/Accounts/x/Messages/x.json",
}  # fmt: skip


class Provider:
    """What it took so far: ``(seconds since the epoch, recipient, sender)`` a text."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.taken: list[tuple[float, str, str]] = []
        self.serials = count(1)

    def take(self, form: bytes) -> bytes:
        fields = dict(parse_qsl(form.decode()))
        self.taken.append((time.time(), fields["To"], fields["From"]))
        return _answer(201, {**ACCEPTED, "sid": f"SM{next(self.serials):032x}"})

    def told(self) -> bytes:
        return _answer(200, self.taken)


def _answer(status: int, body: object) -> bytes:
    text = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    return head.encode() + text


class Line(asyncio.Protocol):
    """One kept connection, one request at a time."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._received = b""
        if head.startswith(b"GET"):
            self._transport.write(self._provider.told())
            return
        answer = self._provider.take(body)
        asyncio.get_running_loop().call_later(self._provider.seconds, self._transport.write, answer)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def serve(port: int, seconds: float) -> None:
    provider = Provider(seconds)
    server = await asyncio.get_running_loop().create_server(
        lambda: Line(provider), "127.0.0.1", port, backlog=512
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))
