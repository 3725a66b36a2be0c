"""One fault that was asked for. How it is asked for, and whom it strikes: faults.py."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Fault:
    """One asked-for fault; ``count`` None: until deleted; ``skip``: so many matching requests pass first."""

    id: int
    service: str
    kind: str
    match: dict[str, str] = field(default_factory=dict)
    code: int | None = None
    status: int | None = None
    reason: str | None = None
    count: int | None = None
    skip: int = 0
    probability: float = 1.0
    delay_seconds: float = 0.0
    retry_after: int | None = None
    struck: int = 0
