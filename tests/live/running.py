"""The sockets' application on a real port, and clients that watch it as a clinic's staff or programs do."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

import jwt
import uvicorn
from django.conf import settings
from django.test import Client
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from telephony.live.hub import Hub
from tests.clinics import Clinic
from tests.sandbox.running import free_port
from voxanne.asgi import Application
from voxanne.tenancy.models import User

Json = dict[str, Any]
PATIENCE = 8.0


class RunningSockets:
    """One server in a thread of its own; ``watch`` opens sockets to it."""

    def __init__(self, ping_seconds: float = 15.0, redis_url: str | None = None, port: int = 0) -> None:
        self.port = port or free_port()
        self._ping_seconds = ping_seconds
        self._redis_url = redis_url
        self._server: uvicorn.Server
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._started = threading.Event()
        self.hub: Hub

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while not self._server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self._server.started

    def _serve(self) -> None:
        asyncio.run(self._serve_inside())

    async def _serve_inside(self) -> None:
        self.hub = Hub(self._redis_url, self._ping_seconds)
        config = uvicorn.Config(
            Application(self.hub),
            host="127.0.0.1",
            port=self.port,
            log_level="warning",
            ws_max_size=65536,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._started.set()
        await self._server.serve()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def watch(
        self,
        person: User | None = None,
        *,
        token: str = "",
        path: str = "/ws/call",
        origin: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Watching:
        """A socket, signed in by the person's session or by a token, if given."""
        sent = dict(headers or {})
        if person is not None:
            sent["Cookie"] = cookie_of(person)
        chosen: Any = settings.BACKEND_URL if origin is None else origin
        url = f"ws://127.0.0.1:{self.port}{path}"
        # Without a bound on what waits unread, closing waits for nobody.
        given: dict[str, Any] = {"compression": None, "max_size": None, "max_queue": None, **more}
        connection = connect(url, origin=chosen or None, additional_headers=sent, legacy=True, **given)
        watching = Watching(connection)
        if token:
            watching.say("auth", token=token)
        return watching


class Watching:
    """What one client hears."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.heard: list[Json] = []

    def say(self, kind: str, **more: Any) -> None:
        self.connection.send(json.dumps({"type": kind, **more}))

    def next(self, seconds: float = PATIENCE) -> Json:
        message: Json = json.loads(self.connection.recv(seconds))
        self.heard.append(message)
        return message

    def until(self, holds: Callable[[Json], bool], seconds: float = PATIENCE) -> Json:
        """The first message for which ``holds``; those before it are kept in ``heard``."""
        deadline = time.monotonic() + seconds
        while True:
            message = self.next(max(0.01, deadline - time.monotonic()))
            if holds(message):
                return message

    def first(self, kind: str, seconds: float = PATIENCE) -> Json:
        return self.until(lambda message: message["type"] == kind, seconds)

    def up_to(self, seq: int, seconds: float = PATIENCE) -> Json:
        """The message with this number."""
        return self.until(lambda message: bool(message["seq"] == seq), seconds)

    def closed_with(self, seconds: float = PATIENCE) -> int:
        """The code with which the server closes; what came before it is kept in ``heard``."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                self.next(max(0.01, deadline - time.monotonic()))
        except ConnectionClosed:
            assert self.connection.close_code is not None
            return self.connection.close_code

    def close(self) -> None:
        self.connection.close()

    def drop(self) -> None:
        """The network goes away: no goodbye."""
        with suppress(OSError):
            self.connection.socket.close()


def events(heard: list[Json]) -> list[Json]:
    """Those that have a number of their own."""
    return [message for message in heard if message["type"] in ("call", "transcript", "tool", "call_ended")]


def cookie_of(person: User) -> str:
    client = Client()
    client.force_login(person, backend="voxanne.tenancy.permissions.MembershipBackend")
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


def token_of(clinic: Clinic | None, **claims: Any) -> str:
    """A token as the clinic's own programs have one; ``claims`` replace or add."""
    org_id: UUID | None = clinic.id if clinic is not None else None
    given = {"aud": "voxanne", "exp": int(time.time()) + 600, "sub": "dashboard", **claims}
    if org_id is not None:
        given.setdefault("org_id", str(org_id))
    return jwt.encode(given, settings.JWT_SECRET, algorithm="HS256")
