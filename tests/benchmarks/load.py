"""A closed-loop load generator over plain sockets: light enough to share two cores with what it measures."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import quantiles

READ_SIZE = 65536


@dataclass
class Measured:
    """Latencies in milliseconds of the requests that were answered as wanted, and what was not."""

    milliseconds: list[float] = field(default_factory=list)
    errors: int = 0
    first_error: str = ""
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.milliseconds) / self.seconds if self.seconds else 0.0

    def percentile(self, percent: int) -> float:
        if len(self.milliseconds) < 2:
            return self.milliseconds[0] if self.milliseconds else float("nan")
        return quantiles(self.milliseconds, n=100, method="inclusive")[percent - 1]


class Connection:
    """One keep-alive HTTP/1.1 connection that sends prepared bytes and reads one answer at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Sends ``request`` and returns the answer's status and body."""
        self._socket.sendall(request)
        head = self._until_head()
        status = int(head[9:12])
        length = _content_length(head)
        while len(self._buffer) < length:
            self._receive()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return status, body

    def _until_head(self) -> bytes:
        while b"\r\n\r\n" not in self._buffer:
            self._receive()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head

    def _receive(self) -> None:
        chunk = self._socket.recv(READ_SIZE)
        if not chunk:
            raise ConnectionError("The server closed the connection.")
        self._buffer += chunk

    def close(self) -> None:
        self._socket.close()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError("The answer has no Content-Length.")


def http_request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """The bytes of one request to localhost."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def run_clients(
    port: int, requests_of_client: Sequence[Sequence[bytes]], accepted: Callable[[int, bytes], bool]
) -> Measured:
    """One thread a client; all start together and send their requests one after another."""
    total = Measured()
    lock, barrier = threading.Lock(), threading.Barrier(len(requests_of_client) + 1)

    def client(requests: Sequence[bytes]) -> None:
        connection = Connection("127.0.0.1", port)
        times: list[float] = []
        errors, first_error = 0, ""
        barrier.wait()
        for request in requests:
            began = time.perf_counter()
            try:
                status, body = connection.exchange(request)
            except (OSError, ValueError) as error:
                errors, first_error = errors + 1, first_error or repr(error)
                break
            taken = (time.perf_counter() - began) * 1000
            if accepted(status, body):
                times.append(taken)
            else:
                errors += 1
                first_error = first_error or f"{status}: {body[:300].decode(errors='replace')}"
        connection.close()
        with lock:
            total.milliseconds += times
            total.errors += errors
            total.first_error = total.first_error or first_error

    threads = [threading.Thread(target=client, args=(requests,)) for requests in requests_of_client]
    for thread in threads:
        thread.start()
    barrier.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    total.seconds = time.perf_counter() - began
    return total
