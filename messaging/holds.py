"""What a gate says of a text that may not go out now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now: ask again after ``wait``, because of ``reason`` (a sentence for people, naming nobody). ``columns`` are
    the text's own to set with it."""

    wait: timedelta
    reason: str
    columns: Mapping[str, Any] = field(default_factory=dict)
