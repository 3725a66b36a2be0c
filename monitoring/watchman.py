"""The watchman: a thread of each worker that notices late periodic work, tells a person, and stands in for beat.

Beat cannot tell of its own death, so someone else looks: each worker here, and each web process when it is
asked for its health.

While everything was stopped nothing could run, and nobody is to blame for it: that time counts against no job. What
a job had been silent before, while workers lived, still counts, so a worker that is started over and over does not
hide a beat that never comes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from celery import current_app
from django.db import DatabaseError, connection
from kombu.exceptions import OperationalError

from monitoring import heartbeats
from monitoring.alerts import Severity, alert
from monitoring.schedule import RUNNER, PeriodicJob, all_jobs

logger = structlog.get_logger(__name__)

ROUND_SECONDS = 15.0
# Heartbeats of a living stack lie no further apart than this: beat's own come that often.
USUAL_SILENCE = 10.0


@dataclass(frozen=True, slots=True)
class Late:
    job: PeriodicJob
    seconds: float


@dataclass(frozen=True, slots=True)
class Watch:
    """How long we have watched, and how long nothing at all had lived when we began."""

    seconds: float
    nothing_lived: float = 0.0

    def held_against(self, age: float) -> float:
        """A heartbeat's age without the time in which everything was stopped."""
        return age if age <= self.seconds else max(self.seconds, age - self.nothing_lived)


def stopped_before(ages: Mapping[str, float], watched_seconds: float) -> float:
    """How long everything had been stopped when the watch began: since the newest heartbeat from before."""
    before = [age - watched_seconds for age in ages.values() if age > watched_seconds]
    newest = min(before, default=0.0)
    return newest if newest > USUAL_SILENCE else 0.0


def late_jobs(ages: Mapping[str, float], watch: Watch) -> list[Late]:
    """The jobs that have not run through for too long. One that never did counts from when we began to watch."""
    found = (Late(job, ages.get(job.name, watch.seconds)) for job in all_jobs())
    return [late for late in found if watch.held_against(late.seconds) > late.job.late_after_seconds]


def due_without_beat(ages: Mapping[str, float], watched_seconds: float) -> list[PeriodicJob]:
    """What beat would ring for by now; nothing while beat lives."""
    if ages.get(heartbeats.BEAT, watched_seconds) <= heartbeats.STALE_SECONDS:
        return []
    return [
        job
        for job in all_jobs()
        if not job.direct and ages.get(job.name, watched_seconds) >= job.every_seconds
    ]


class Watchman:
    """Goes round every 15 s for as long as the worker lives."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._known_late: frozenset[str] = frozenset()
        self._nothing_lived: float | None = None

    def start(self) -> None:
        self._began = time.monotonic()
        threading.Thread(target=self._watch, name="watchman", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _watch(self) -> None:
        # At once: the first heartbeats of this start hide how long there were none.
        self._ages()
        while not self._stop.wait(ROUND_SECONDS):
            self.go_round()

    def go_round(self) -> None:
        """One look: alerts on what is late, rings for it, and says what runs again."""
        ages = self._ages()
        if ages is None:
            return
        watch = Watch(time.monotonic() - self._began, self._nothing_lived or 0.0)
        late = late_jobs(ages, watch)
        self._tell(late)
        jobs = {one.job.name: one.job for one in late if not one.job.direct}
        jobs |= {job.name: job for job in due_without_beat(ages, watch.seconds)}
        for job in jobs.values():
            _ring(job)

    def _ages(self) -> dict[str, float] | None:
        """The heartbeats' ages, None while the database is away."""
        try:
            connection.close_if_unusable_or_obsolete()
            ages = heartbeats.ages()
        except DatabaseError as error:
            logger.warning("watchman_cannot_look", reason=type(error).__name__)
            connection.close()
            return None
        if self._nothing_lived is None:
            self._nothing_lived = stopped_before(ages, time.monotonic() - self._began)
        return ages

    def _tell(self, late: list[Late]) -> None:
        for one in late:
            tell_late(one)
        names = frozenset(one.job.name for one in late)
        for name in self._known_late - names:
            alert(Severity.INFO, f"runs-again:{name}", f"The periodic job “{name}” runs again.")
        self._known_late = names


def tell_late(late: Late) -> None:
    title = "Beat has stopped ringing; a worker stands in for it."
    if not late.job.direct:
        title = f"The periodic job “{late.job.name}” is late."
    alert(
        Severity.CRITICAL,
        f"late:{late.job.name}",
        title,
        last_ran_seconds_ago=round(late.seconds),
        every_seconds=late.job.every_seconds,
    )


def _ring(job: PeriodicJob) -> None:
    try:
        current_app.send_task(RUNNER, args=(job.name,), expires=job.expires, retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("watchman_cannot_ring", job=job.name, reason=type(error).__name__)
