"""What a gate answers: see messaging/gates.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from messaging.models import Message
from voxanne.tenancy.plan_cache import ClinicKey


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now: ask again after ``wait``, because of ``reason`` (a sentence for people, naming nobody).

    ``may_end_sooner``: a person may lift it. A text that expires within ``wait`` then waits until it expires, instead
    of having expired at once.
    """

    wait: timedelta
    reason: str
    may_end_sooner: bool = False


Gate = Callable[[Message, ClinicKey, datetime], Hold | None]
