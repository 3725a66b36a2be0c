"""What is told to those who watch live calls: on commit, best effort, never in a caller's way.

A thread of its own publishes, so that a slow or absent Redis keeps nobody waiting. What it has to drop is not
told later: once Redis answers again, the clinics concerned are told that their picture is stale.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

import redis
import structlog
from django.db import transaction

from messaging.phone_numbers import is_withheld, mask
from monitoring.redis_link import RedisAway, link
from telephony.live import stream
from telephony.models import Call

logger = structlog.get_logger(__name__)

MOST_WAITING = 5_000
LONGEST_TEXT = 4_000
REST_SECONDS = 0.5
# What follows closely travels together: one round trip costs more than what it carries.
GATHERING_SECONDS = 0.02
MOST_TOGETHER = 100
CALL, TRANSCRIPT, TOOL, CALL_ENDED, STALE = "call", "transcript", "tool", "call_ended", "stale"


@dataclass(frozen=True, slots=True)
class Announcement:
    org_id: UUID
    kind: str
    data: Mapping[str, Any]


@dataclass
class _Dropped:
    """The clinics whose watchers missed something."""

    clinics: set[UUID] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, org_id: UUID) -> None:
        with self.lock:
            self.clinics.add(org_id)

    def take(self) -> set[UUID]:
        with self.lock:
            taken, self.clinics = self.clinics, set()
        return taken


_waiting: queue.Queue[Announcement] = queue.Queue(maxsize=MOST_WAITING)
_dropped = _Dropped()
_publisher: threading.Thread | None = None
_starting = threading.Lock()


def announce(org_id: UUID, kind: str, call_id: UUID, data: Mapping[str, Any]) -> None:
    """Tells the clinic's watchers of ``kind`` (call, transcript, tool, call_ended) once the transaction commits.

    ``data`` is JSON and holds no whole phone number. A transcript's ``text`` is told to those who may read it.
    """
    told = Announcement(org_id, kind, {"callId": str(call_id), **_shortened(data)})
    transaction.on_commit(lambda: offer(told), robust=True)


def announce_call(call: Call) -> None:
    """Tells how a call stands now: that it began, went on, or ended."""
    kind = CALL_ENDED if call.status == Call.Status.ENDED else CALL
    announce(call.org_id, kind, call.pk, call_facts(call))


def call_facts(call: Call) -> dict[str, Any]:
    """What watchers are told of a call, beside its id."""
    facts = {
        "vapiCallId": call.vapi_call_id,
        "status": call.status,
        "from": "withheld" if is_withheld(call.from_number or None) else mask(call.from_number),
        "startedAt": (call.started_at or call.created_at).isoformat(),
    }
    if call.transfer_department:
        facts["department"] = call.transfer_department
    if call.status == Call.Status.ENDED:
        facts["endedReason"] = call.ended_reason
    return facts


def offer(announcement: Announcement) -> None:
    """Hands it to the publishing thread; drops it when that is far behind."""
    _ensure_publisher()
    try:
        _waiting.put_nowait(announcement)
    except queue.Full:
        _dropped.add(announcement.org_id)


def _shortened(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value[:LONGEST_TEXT] if isinstance(value, str) else value for name, value in data.items()}


def _ensure_publisher() -> None:
    global _publisher
    if _publisher is not None and _publisher.is_alive():
        return
    with _starting:
        if _publisher is None or not _publisher.is_alive():
            _publisher = threading.Thread(target=_publish_forever, name="live-publisher", daemon=True)
            _publisher.start()


def _publish_forever() -> None:
    while True:
        together = [_waiting.get(), *_waiting_now()]
        try:
            _tell_of_lost()
            _publish(together)
        # Whatever keeps some from going out must not end the thread with the others still waiting.
        except Exception as error:
            for announcement in together:
                _dropped.add(announcement.org_id)
            if not isinstance(error, RedisAway):
                logger.warning("live_event_not_published", reason=type(error).__name__)
            _wait_for_redis()
        else:
            time.sleep(GATHERING_SECONDS)


def _waiting_now() -> Iterator[Announcement]:
    with suppress(queue.Empty):
        for _ in range(MOST_TOGETHER - 1):
            yield _waiting.get_nowait()


def _wait_for_redis() -> None:
    """Until Redis answers; then those who missed something are told so, though nothing new may happen."""
    while True:
        time.sleep(REST_SECONDS)
        _drop_waiting()
        try:
            _tell_of_lost()
        except (RedisAway, redis.RedisError):
            continue
        return


def _tell_of_lost() -> None:
    lost = _dropped.take()
    while lost:
        org_id = next(iter(lost))
        try:
            _publish([Announcement(org_id, STALE, {})])
        except BaseException:
            for each in lost:
                _dropped.add(each)
            raise
        lost.discard(org_id)


def _publish(together: Sequence[Announcement]) -> None:
    """In this order; several in one round trip. Raises RedisAway."""
    if len(together) == 1:
        link().call(lambda client: _write(client, together[0]))
    else:
        link().call(lambda client: _write_all(client, together))


def _write_all(client: redis.Redis, together: Sequence[Announcement]) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for announcement in together:
            _write(pipeline, announcement)
        pipeline.execute()


def _write(client: redis.Redis, announcement: Announcement) -> None:
    org_id = announcement.org_id
    values = [stream.written(announcement.kind, announcement.data), stream.WAKE_CHANNEL, str(org_id)]
    _script()(keys=stream.keys_of(org_id), args=values, client=client)


@cache
def _script() -> Any:
    # Registered on a client that is never used: each call names its own.
    return redis.Redis().register_script(stream.PUBLISH)


def _drop_waiting() -> None:
    while True:
        try:
            _dropped.add(_waiting.get_nowait().org_id)
        except queue.Empty:
            return
