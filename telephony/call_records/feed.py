"""Who wants to hear of what happens in calls: listeners register, and are told when it has committed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.db import transaction

# Beside the kinds of a call's events: its status moved on, and a tool was used.
ADVANCED, TOOL = "advanced", "tool"

Listener = Callable[[UUID, UUID, str, Mapping[str, Any]], None]
_listeners: list[Listener] = []


def register_listener(listener: Listener) -> None:
    """``listener(org_id, call_id, kind, data)`` runs after the commit, outside any transaction and scope; what it
    raises is logged and stops nobody else."""
    if listener not in _listeners:
        _listeners.append(listener)


def on_call_event(org_id: UUID, call_id: UUID, kind: str, data: Mapping[str, Any]) -> None:
    """Tells every listener once the current transaction has committed. ``kind`` is that of a call event,
    with ``data`` {at, role, text, final}; or ``TOOL``, with {vapiCallId, tool, outcome}; or ``ADVANCED``."""
    for listener in _listeners:
        transaction.on_commit(_telling(listener, org_id, call_id, kind, data), robust=True)


def _telling(
    listener: Listener, org_id: UUID, call_id: UUID, kind: str, data: Mapping[str, Any]
) -> Callable[[], None]:
    return lambda: listener(org_id, call_id, kind, data)
