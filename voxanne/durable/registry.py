"""The kinds of durable work that exist. Each floor registers its own in ``AppConfig.ready()``."""

from __future__ import annotations

from typing import Any

from voxanne.durable.work import WorkKind

_kinds: dict[str, WorkKind[Any]] = {}


def register(kind: WorkKind[Any]) -> None:
    _kinds[kind.name] = kind


def kind_named(name: str) -> WorkKind[Any]:
    """Raises KeyError for a kind that nobody registered."""
    return _kinds[name]


def all_kinds() -> tuple[WorkKind[Any], ...]:
    return tuple(_kinds.values())
