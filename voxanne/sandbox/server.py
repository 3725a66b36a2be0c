"""The listening sockets: connections that can be cut, and extra gates that can really be shut."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from types import FrameType
from typing import Any
from weakref import WeakSet

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LINGER_ZERO = struct.pack("ii", 1, 0)


class DroppableProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, whose application may cut the connection.

    ``scope["extensions"]["sandbox.drop"]["cut"](reset)`` does it.
    """

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"sandbox.drop": {"cut": self.drop}}

    def drop(self, reset: bool) -> None:
        """Close at once, unsent bytes lost; with ``reset`` the peer gets a TCP reset instead of an end."""
        if reset:
            self._linger_zero()
        self.transport.abort()

    def _linger_zero(self) -> None:
        pseudo = self.transport.get_extra_info("socket")
        with socket.socket(fileno=os.dup(pseudo.fileno())) as shared:
            shared.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)


class SandboxServer(uvicorn.Server):
    """Says that it is stopping as soon as it is asked to, so that open pages let go of their connections."""

    def __init__(self, config: uvicorn.Config, on_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_exit = on_exit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._on_exit()


class Gate:
    """An extra port that serves all the main port does and can be shut: connecting is then refused."""

    def __init__(self, server: uvicorn.Server, host: str, port: int = 0) -> None:
        self._server = server
        self._host = host
        self.port = port
        self._listener: asyncio.AbstractServer | None = None
        self._connections: WeakSet[DroppableProtocol] = WeakSet()

    @property
    def is_open(self) -> bool:
        return self._listener is not None

    async def open(self) -> None:
        """Listen; the same port again after a ``shut``."""
        if self._listener is not None:
            return
        listener = await asyncio.get_running_loop().create_server(
            self._protocol, self._host, self.port, reuse_address=True
        )
        self.port = listener.sockets[0].getsockname()[1]
        self._listener = listener

    def shut(self) -> None:
        """Stop listening and reset every connection that came through this gate."""
        if self._listener is None:
            return
        self._listener.close()
        self._listener = None
        for connection in list(self._connections):
            if connection.transport is not None and not connection.transport.is_closing():
                connection.drop(True)

    def _protocol(self) -> DroppableProtocol:
        connection = DroppableProtocol(
            config=self._server.config,
            server_state=self._server.server_state,
            app_state=self._server.lifespan.state,
        )
        self._connections.add(connection)
        return connection


class Gates:
    """All extra gates, by port."""

    def __init__(self) -> None:
        self._server: uvicorn.Server | None = None
        self._host = "127.0.0.1"
        self._gates: dict[int, Gate] = {}

    def bind(self, server: uvicorn.Server, host: str) -> None:
        self._server, self._host = server, host

    async def add(self, port: int = 0) -> Gate:
        """A new open gate on ``port``, 0 for any free one."""
        if self._server is None:
            raise RuntimeError("gates need a running server")
        gate = Gate(self._server, self._host, port)
        await gate.open()
        self._gates[gate.port] = gate
        return gate

    def find(self, port: int) -> Gate | None:
        return self._gates.get(port)

    def listing(self) -> list[dict[str, Any]]:
        return [
            {"port": gate.port, "open": gate.is_open, "base_url": f"http://{self._host}:{gate.port}"}
            for gate in self._gates.values()
        ]

    def shut_all(self) -> None:
        for gate in self._gates.values():
            gate.shut()
        self._gates.clear()
