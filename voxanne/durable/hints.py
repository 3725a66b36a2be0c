"""Hints to the workers: "this row is due now". Losing one costs seconds, because sweepers look at the rows.

They are published by a thread of their own, so that a slow or absent Redis never keeps a caller waiting.

Publishing one costs about as much as working a small row off. So hints whose rows may be worked off one after another
(``together``) are gathered where they come thick: the first leaves at once, those of the next blink leave as one.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from uuid import UUID

import structlog
from celery import current_app
from django.db import transaction

logger = structlog.get_logger(__name__)

BROKER_REST_SECONDS = 2.0
GATHER_SECONDS = 0.1
STALE_SECONDS = 5.0
# A drainer that nobody took in this time is not needed any more: the sweep has sent its own.
DRAIN_EXPIRES_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Hint:
    kind: str
    queue: str
    org_id: UUID
    pk: UUID
    countdown: float = 0.0
    together: bool = False


@dataclass(slots=True)
class Gathered:
    """So many hints of one kind, to leave as one at ``due`` (monotonic)."""

    kind: str
    queue: str
    due: float
    rows: int = 1


_waiting: queue.Queue[Hint | Gathered] = queue.Queue(maxsize=10_000)
_gathering: dict[str, Gathered] = {}
_last_left: dict[str, float] = {}
_gather_lock = threading.Lock()
_publisher: threading.Thread | None = None
_starting = threading.Lock()


def hint_on_commit(
    kind: str, queue_name: str, org_id: UUID, pk: UUID, countdown: float = 0.0, *, together: bool = False
) -> None:
    """Wakes a worker for this row ``countdown`` seconds after the current transaction commits."""
    transaction.on_commit(lambda: offer(Hint(kind, queue_name, org_id, pk, countdown, together)))


def offer(hint: Hint) -> None:
    """Hands the hint to the publishing thread; drops it when that is far behind (the sweeper will come by)."""
    _ensure_publisher()
    leaving = _gathered_or_alone(hint) if hint.together else hint
    if leaving is None:
        return
    try:
        _waiting.put_nowait(leaving)
    except queue.Full:
        logger.warning("hint_dropped", kind=hint.kind)


def _gathered_or_alone(hint: Hint) -> Hint | Gathered | None:
    """The hint itself where none of its kind has just left; else what gathers it and those that follow; None where
    that is on its way already."""
    now = time.monotonic()
    with _gather_lock:
        gathering = _gathering.get(hint.kind)
        # One that should have left long ago never will: it was dropped, or stayed behind in a forked process.
        if gathering is not None and now < gathering.due + STALE_SECONDS:
            gathering.rows += 1
            return None
        free_from = _last_left.get(hint.kind, 0.0) + GATHER_SECONDS
        if now >= free_from:
            _last_left[hint.kind] = now
            return hint
        _gathering[hint.kind] = Gathered(hint.kind, hint.queue, free_from)
        return _gathering[hint.kind]


def _ensure_publisher() -> None:
    global _publisher
    if _publisher is not None and _publisher.is_alive():
        return
    with _starting:
        if _publisher is None or not _publisher.is_alive():
            _publisher = threading.Thread(target=_publish_forever, name="hint-publisher", daemon=True)
            _publisher.start()


def _publish_forever() -> None:
    later: list[Gathered] = []
    while True:
        hint = _next(later)
        if hint is None:
            continue
        try:
            _publish(hint)
        # Whatever keeps one hint from going out must not end the thread with the others still waiting.
        except Exception as error:
            logger.warning("hint_not_published", kind=hint.kind, reason=type(error).__name__)
            _drop_waiting()
            time.sleep(BROKER_REST_SECONDS)


def _next(later: list[Gathered]) -> Hint | Gathered | None:
    """What leaves next; what is still gathering is put into ``later``, and taken from it when it is due."""
    now = time.monotonic()
    due = next((each for each in later if each.due <= now), None)
    if due is not None:
        later.remove(due)
        with _gather_lock:
            if _gathering.get(due.kind) is due:
                del _gathering[due.kind]
            _last_left[due.kind] = now
        return due
    try:
        hint = _waiting.get(timeout=min(each.due for each in later) - now if later else None)
    except queue.Empty:
        return None
    if isinstance(hint, Hint):
        return hint
    later.append(hint)
    return None


def _publish(hint: Hint | Gathered) -> None:
    if isinstance(hint, Gathered):
        current_app.send_task(
            "voxanne.durable.tasks.drain",
            args=(hint.kind, hint.rows),
            queue=hint.queue,
            expires=DRAIN_EXPIRES_SECONDS,
            retry=False,
            ignore_result=True,
        )
        return
    current_app.send_task(
        "voxanne.durable.tasks.work_off",
        args=(hint.kind, str(hint.org_id), str(hint.pk)),
        queue=hint.queue,
        countdown=hint.countdown or None,
        retry=False,
        ignore_result=True,
    )


def _drop_waiting() -> None:
    while not _waiting.empty():
        _waiting.get_nowait()
    with _gather_lock:
        _gathering.clear()
