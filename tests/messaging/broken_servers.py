"""Servers on real sockets that fail at one chosen moment of an HTTP exchange."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Behaviour = Callable[[socket.socket], None]


def reset(connection: socket.socket) -> None:
    """Close so that the other side sees a reset, not an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def read_request(connection: socket.socket) -> bytes:
    """Read head and body of one request whole, as a server does that has taken it."""
    taken = b""
    while b"\r\n\r\n" not in taken:
        taken += _some(connection)
    head, _, body = taken.partition(b"\r\n\r\n")
    lengths = [
        line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    ]
    while len(body) < int(lengths[0] if lengths else 0):
        body += _some(connection)
    return head + b"\r\n\r\n" + body


def _some(connection: socket.socket) -> bytes:
    received = connection.recv(65_536)
    if not received:
        raise ConnectionAbortedError("the client left in the middle of its request")
    return received


def answering(raw: bytes) -> Behaviour:
    """Take the request, answer with these bytes, and close."""

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(raw)
        connection.close()

    return behave


def answering_json(status: int, body: str) -> Behaviour:
    raw = body.encode()
    head = (
        f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    return answering(head.encode() + raw)


def resetting_after_request(connection: socket.socket) -> None:
    read_request(connection)
    reset(connection)


def resetting_in_request(connection: socket.socket) -> None:
    connection.recv(1)  # before that the client may still be connecting, and rightly say so
    reset(connection)


def closing_after_request(connection: socket.socket) -> None:
    read_request(connection)
    connection.close()


@contextmanager
def serving(behave: Behaviour) -> Iterator[str]:
    """Serve connections with `behave` and give its address; connections left open end with the server."""
    left_open: list[socket.socket] = []

    def work(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            left_open.append(connection)
            with suppress(OSError):  # the client may leave first
                behave(connection)

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=work, args=(listener,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in left_open:
            connection.close()
        thread.join(timeout=5)


@contextmanager
def nobody_listening() -> Iterator[str]:
    """Give an address that refuses connections: the port is ours, but never listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@contextmanager
def nobody_accepting() -> Iterator[str]:
    """Give an address whose queue of connections is full: connecting times out."""
    waiting: list[socket.socket] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            waiting.append(one)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for one in waiting:
                one.close()
