"""What a gate answers: see messaging/gates.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from messaging.models import Message
from voxanne.tenancy.plan_cache import ClinicKey


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now: ask again after ``wait``, because of ``reason`` (a sentence for people, naming nobody).

    ``may_end_sooner``: a person may lift it. A text that expires within ``wait`` then waits until it expires, instead
    of having expired at once. ``columns`` are the text's own to set with it.
    """

    wait: timedelta
    reason: str
    may_end_sooner: bool = False
    columns: Mapping[str, Any] = field(default_factory=dict)


Gate = Callable[[Message, ClinicKey, datetime], Hold | None]
