"""How long a text waits before it is tried again (contract, section 6)."""

from __future__ import annotations

import random
from datetime import timedelta

RETRY_WAITS = (1, 2, 4, 8, 16)
JITTER = 0.2


def retry_wait(attempts: int, retry_after: float | None) -> timedelta:
    """1, 2, 4, 8, 16 s, each up to a fifth longer; never sooner than the provider asked for."""
    return timedelta(seconds=max(RETRY_WAITS[attempts] * longer(), retry_after or 0))


def longer() -> float:
    """By how much a wait is stretched, so that texts that failed together do not come back together."""
    return 1 + random.uniform(0, JITTER)  # noqa: S311  (spreads load, hides nothing)
