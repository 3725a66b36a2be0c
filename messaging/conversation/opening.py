"""Whether a clinic is open just now. Its hours belong to a higher floor, which says how to know."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

IsOpen = Callable[[UUID, datetime], bool]
_known: list[IsOpen] = []


def know_opening_by(is_open: IsOpen) -> None:
    """``is_open`` is asked from now on, inside the clinic's scope. Called from ``AppConfig.ready()``."""
    _known[:] = [is_open]


def is_closed(org_id: UUID, now: datetime) -> bool:
    """Whether nobody is at the clinic; False where nobody can tell. Inside the clinic's scope."""
    return any(not is_open(org_id, now) for is_open in _known)
