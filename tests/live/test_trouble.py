"""Redis away, Redis emptied, events lost on the way, and clients that do not listen."""

from __future__ import annotations

import base64
import json
import os
import queue
import shutil
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import OperationalError

from monitoring.redis_link import RedisLink
from telephony.live import attendance, feed, stream
from telephony.live.feed import Announcement, offer
from tests.clinics import Clinic
from tests.live.running import RunningSockets, events, token_of
from tests.telephony.vapi_client import CALLER, VapiCaller
from tests.telephony.webhooks import news
from voxanne.runtime import servers, store
from voxanne.runtime.state import VALKEY
from voxanne.tenancy.ids import new_id


class OwnRedis:
    """A server of these tests' own, that can be stopped and started again where clients look for it."""

    def __init__(self) -> None:
        self.url = str(servers.ensure_servers(only=(VALKEY,)).redis_url)

    @property
    def client(self) -> Any:
        return redis.Redis.from_url(self.url, socket_timeout=5, decode_responses=True)

    def stop(self) -> None:
        servers.stop_servers((VALKEY,))

    def start(self) -> None:
        assert servers.ensure_servers(only=(VALKEY,)).redis_url == self.url


@pytest.fixture(scope="module")
def own_redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRedis]:
    folder: Path = tmp_path_factory.mktemp("live") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOXANNE_DATA_DIR", str(folder))
        for name in ("REDIS_URL", "REDIS_URL_FILE"):
            patch.delenv(name, raising=False)
        own = OwnRedis()
        yield own
        own.stop()
        shutil.rmtree(folder, ignore_errors=True)
        for place in store.SHARED_PLACES:
            store.drop_orphans(place)


@pytest.fixture
def own_redis(own_redis_process: OwnRedis, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnRedis]:
    own_redis_process.client.flushall()
    way = RedisLink(own_redis_process.url, rest_seconds=0.1)
    monkeypatch.setattr(feed, "link", lambda: way)
    yield own_redis_process
    own_redis_process.start()
    deadline = time.monotonic() + 5
    while (feed._dropped.clinics or not feed._waiting.empty()) and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.fixture
def beside(transactional_db: None, own_redis: OwnRedis) -> Iterator[RunningSockets]:
    """The sockets on that Redis, with a short breath."""
    running = RunningSockets(ping_seconds=0.4, redis_url=own_redis.url)
    running.start()
    yield running
    running.stop()


def test_while_redis_is_away_calls_and_sockets_go_on_and_a_snapshot_follows(
    beside: RunningSockets, own_redis: OwnRedis, elm: Clinic
) -> None:
    watching = beside.watch(token=token_of(elm))
    before = watching.first("snapshot")["seq"]
    own_redis.stop()
    began = time.monotonic()
    call = VapiCaller(elm)
    call.say("assistant-request")
    call.use("lookupCaller", searchType="phone", searchKey=CALLER)
    assert time.monotonic() - began < 3, "nobody waited for Redis"
    watching.heard.clear()
    for _ in range(3):
        watching.first("ping")
    assert events(watching.heard) == []
    late = beside.watch(token=token_of(elm))
    assert [one["vapiCallId"] for one in late.first("snapshot")["data"]["calls"]] == [call.call_id]
    own_redis.start()
    for each in (watching, late):
        picture = each.until(lambda message: message["type"] == "snapshot" and message["seq"] > before)
        assert [one["vapiCallId"] for one in picture["data"]["calls"]] == [call.call_id]
    news(call, "status-update", status="in-progress")
    # As an event, or in one more picture where the publisher had not yet found Redis again.
    assert watching.until(lambda message: "in_progress" in str(message["data"]))


def test_a_redis_that_was_emptied_is_noticed_and_numbers_never_come_again(
    beside: RunningSockets, own_redis: OwnRedis, elm: Clinic
) -> None:
    watching = beside.watch(token=token_of(elm))
    first = watching.first("snapshot")["seq"]
    tell(elm, 3)
    watching.until(lambda message: message["seq"] == first + 3)
    watching.drop()
    own_redis.client.flushall()
    tell(elm, 5)
    again = beside.watch(token=token_of(elm))
    again.say("resume", seq=first + 3)
    picture = again.next()
    assert (picture["type"], picture["seq"] > first + 8) == ("snapshot", True)
    tell(elm, 1)
    assert again.first("tool")["seq"] == picture["seq"] + 1


def test_a_redis_that_came_back_from_an_older_copy_is_noticed(own_redis: OwnRedis, elm: Clinic) -> None:
    """Its counter would give numbers for the second time, to other events."""
    read = own_redis.client.register_script(stream.READ)
    publish = own_redis.client.register_script(stream.PUBLISH)
    keys = stream.keys_of(elm.id)
    for _ in range(3):
        publish(keys=keys, args=[stream.written("tool", {}), stream.WAKE_CHANNEL, str(elm.id)])
    known = stream.reading(read(keys=keys, args=[""]), None).head
    own_redis.stop()
    own_redis.start()
    publish(keys=keys, args=[stream.written("tool", {}), stream.WAKE_CHANNEL, str(elm.id)])
    again = stream.reading(read(keys=keys, args=[stream.first_wanted(known - 1)]), known - 1)
    assert again.events is None
    assert again.head > known + 1


def test_when_events_were_dropped_the_watchers_get_a_fresh_picture(
    beside: RunningSockets, own_redis: OwnRedis, elm: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = beside.watch(token=token_of(elm))
    seq = watching.first("snapshot")["seq"]
    with monkeypatch.context() as full:
        full.setattr(feed._waiting, "put_nowait", refuse)
        offer(Announcement(elm.id, "tool", {}))
    tell(elm, 1)
    picture = watching.first("snapshot")
    assert picture["seq"] >= seq + 1


def refuse(announcement: Announcement) -> None:
    raise queue.Full


def tell(clinic: Clinic, count: int, text: str = "") -> None:
    for _ in range(count):
        offer(Announcement(clinic.id, "tool", {"callId": str(new_id()), "text": text}))


def test_a_client_that_does_not_read_holds_up_nobody_and_is_closed(
    beside: RunningSockets, elm: Clinic, own_redis: OwnRedis
) -> None:
    slow = watching_slowly(beside, elm)
    quick = beside.watch(token=token_of(elm))
    last = quick.first("snapshot")["seq"]
    for _ in range(50):
        tell(elm, 50, text="x" * 4_000)
        last += 50
        quick.up_to(last, seconds=5)
    seqs = [message["seq"] for message in events(quick.heard)]
    assert seqs == list(range(seqs[0], seqs[0] + 2_500))
    assert closing_code(slow) == 1013


def watching_slowly(beside: RunningSockets, clinic: Clinic) -> socket.socket:
    """Signed in by hand, over a socket that nobody reads."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", beside.port))
    key = base64.b64encode(os.urandom(16)).decode()
    narrow.sendall(
        (
            f"GET /ws/call HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nOrigin: {settings.BACKEND_URL}\r\n\r\n"
        ).encode()
    )
    while b"\r\n\r\n" not in narrow.recv(1, socket.MSG_PEEK) + narrow.recv(4096):
        pass
    said = json.dumps({"type": "auth", "token": token_of(clinic)}).encode()
    masked = bytes(byte ^ mask for byte, mask in zip(said, (b"\x01\x02\x03\x04" * len(said)), strict=False))
    narrow.sendall(struct.pack("!BBH", 0x81, 0x80 | 126, len(said)) + b"\x01\x02\x03\x04" + masked)
    return narrow


def closing_code(narrow: socket.socket) -> int | None:
    """Reads at last; the code of the closing frame, if there is one."""
    narrow.settimeout(10)
    received = bytearray()
    while part := narrow.recv(65536):
        received += part
    # The closing frame is the last thing that comes: opcode 8, two bytes of code.
    return int.from_bytes(received[-2:], "big") if received[-4:-2] == b"\x88\x02" else None


def test_the_sockets_rest_while_the_database_is_away(
    beside: RunningSockets, elm: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendance, "RECHECK_SECONDS", 0.1)
    watching = beside.watch(token=token_of(elm))
    watching.first("snapshot")

    def away(credential: object) -> None:
        raise OperationalError

    monkeypatch.setattr(attendance, "watcher_of", away)
    for _ in range(3):
        watching.first("ping")
    assert beside.watch(token=token_of(elm)).closed_with() == 1013
    watching.first("ping")
