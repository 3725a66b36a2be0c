"""``/ws/call`` and ``/ws/live-calls``: the socket itself, over Channels."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import structlog
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from telephony.live import origins
from telephony.live.attendance import Attendance
from telephony.live.hub import Hub
from telephony.live.watchers import Credential

logger = structlog.get_logger(__name__)

PATHS = frozenset({"/ws/call", "/ws/live-calls"})
# A client too slow to be told why it is closed is left to the server's own keep-alive.
CLOSE_SECONDS = 10.0
# RFC 6455.
INTERNAL_ERROR = 1011


class LiveCalls(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels ships no types
    """Refuses pages of strangers before accepting, everybody else after it, with a code."""

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self._hub = hub
        self._attendance: Attendance | None = None
        self._task: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        if not origins.is_allowed(self.scope["headers"]):
            await self.close()
            return
        await self.accept()
        self._attendance = Attendance(self._hub, self._send_text, credential_in(self.scope))
        self._task = asyncio.create_task(self._attend(self._attendance))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._attendance is not None:
            self._attendance.hear(text_data or "")

    async def disconnect(self, code: int) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _attend(self, attendance: Attendance) -> None:
        try:
            code = await attendance.attend()
        # Whatever it is, the client is not left with a socket on which nothing comes any more.
        except Exception as error:
            logger.exception("live_socket_failed", error=type(error).__name__)
            code = INTERNAL_ERROR
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.close(code)

    async def _send_text(self, text: str) -> None:
        await self.send(text_data=text)


def credential_in(scope: dict[str, Any]) -> Credential:
    """The session's cookie, and the one clinic that ``?org=`` asks for."""
    cookies = SimpleCookie()
    for name, value in scope["headers"]:
        if name == b"cookie":
            with suppress(CookieError):
                cookies.load(value.decode("latin-1"))
    session = cookies.get(settings.SESSION_COOKIE_NAME)
    return Credential(session_key=session.value if session else "", clinic=_clinic_in(scope))


def _clinic_in(scope: dict[str, Any]) -> UUID | None:
    """What is no id asks for a clinic that nobody has."""
    named = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("org")
    if not named:
        return None
    try:
        return UUID(named[0])
    except ValueError:
        return UUID(int=0)


def live_calls(hub: Hub) -> Any:
    """The ASGI application of the live calls."""
    return LiveCalls.as_asgi(hub=hub)
