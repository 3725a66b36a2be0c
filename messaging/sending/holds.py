"""What a gate answers: see messaging/sending/gates.py."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

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


@dataclass(frozen=True, slots=True)
class Taken:
    """It may go as far as this gate can tell, which took something up for it. ``give_back`` undoes that, where a later
    gate holds the text; it never raises."""

    give_back: Callable[[], None]


# Texts of this transaction whose rows say that they are tried, and which no gate has let through yet: no gate may count
# them as gone.
Undecided = Collection[UUID]
Gate = Callable[[Message, ClinicKey, datetime, Undecided], Hold | Taken | None]
