"""The door before every provider: reads the request, draws its faults, and writes it down.

A provider's handlers are a Starlette router that finds the request as ``request.scope["exchange"]``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voxanne.sandbox.exchange import Exchange, RequestLog
from voxanne.sandbox.fault import Fault
from voxanne.sandbox.faults import FaultBook
from voxanne.sandbox.settings import Settings

Refusal = Callable[[Fault], tuple[int, dict[str, str], bytes]]

ENDING_KINDS = ("rate_limited", "server_error", "server_error_with_body", "refused_permanent")


class ProviderDoor:
    """One provider behind its door; ``refuse`` words an asked-for refusal in the provider's error shape."""

    def __init__(
        self,
        service: str,
        inner: ASGIApp,
        refuse: Refusal,
        *,
        faults: FaultBook,
        log: RequestLog,
        settings: Settings,
    ) -> None:
        self.service = service
        self._inner = inner
        self._refuse = refuse
        self._faults = faults
        self._log = log
        self._settings = settings

    async def serve(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """Answer one request for ``path`` (the address without the service's prefix)."""
        received_at = time.time()
        if self.service in self._settings.down:
            await _drop(scope, receive, reset=True)
            return
        exchange = Exchange(
            service=self.service,
            method=scope["method"],
            path=path,
            query_string=scope["query_string"].decode("latin-1"),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            body=await _read(receive),
            received_at=received_at,
        )
        exchange.faults = self._faults.strike(exchange)
        status = await self._answer(exchange, scope, receive, send)
        self._log.add(exchange, status, time.time() - received_at)

    async def _answer(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> int | None:
        """Send the answer, or none; returns its status."""
        await self._wait_before(exchange)
        if exchange.fault("connection_reset"):
            await _drop(scope, receive, reset=True)
            return None
        ending = next((fault for fault in exchange.faults if fault.kind in ENDING_KINDS), None)
        if ending is not None:
            status, headers, body = self._refuse(ending)
            await _send_whole(send, status, headers, body)
            return status
        messages = await self._ask_inner(exchange, scope)
        slow = exchange.fault("slow")
        if slow is not None:
            await asyncio.sleep(slow.delay_seconds)
        lost = exchange.fault("accepted_then_lost")
        if lost is not None:
            await asyncio.sleep(lost.delay_seconds)
            await _drop(scope, receive, reset=False)
            return None
        for message in messages:
            await send(message)
        return int(messages[0]["status"])

    async def _wait_before(self, exchange: Exchange) -> None:
        seconds = self._settings.latency_seconds[self.service]
        slow = exchange.fault("slow_before")
        if slow is not None:
            seconds += slow.delay_seconds
        if seconds:
            await asyncio.sleep(seconds)

    async def _ask_inner(self, exchange: Exchange, scope: Scope) -> list[Message]:
        messages: list[Message] = []

        async def collect(message: Message) -> None:
            messages.append(message)

        async def replay() -> Message:
            return {"type": "http.request", "body": exchange.body, "more_body": False}

        inner_scope: MutableMapping[str, Any] = {
            **scope,
            "path": exchange.path,
            "root_path": "",
            "exchange": exchange,
        }
        await self._inner(inner_scope, replay, collect)
        return messages


async def _read(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    return b"".join(parts)


async def _drop(scope: Scope, receive: Receive, *, reset: bool) -> None:
    """Cut the connection without an answer and wait until it is gone."""
    drop = cast("Callable[[bool], None]", scope["extensions"]["sandbox.drop"]["cut"])
    drop(reset)
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_whole(
    send: Callable[[Message], Awaitable[None]], status: int, headers: dict[str, str], body: bytes
) -> None:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
