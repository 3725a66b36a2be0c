"""Where a record at Vapi is not as it is wanted: what Vapi adds by itself is none of our business."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Vapi may list these in any order.
IN_ANY_ORDER = frozenset({"serverMessages"})
# Nothing may stand in these but what we put there: another header could override how Vapi identifies itself, and
# another argument would be asked of callers.
WHOLE = frozenset({"headers", "parameters"})
ABSENT: tuple[Any, ...] = (None, "", [], {})


def differing(wanted: Mapping[str, Any], found: Mapping[str, Any], place: str = "") -> list[str]:
    """The members of ``wanted``, such as ``server.url``, that ``found`` lacks or has otherwise.

    A wanted None is a member that must be absent, empty or null.
    """
    return [fault for name, value in wanted.items() for fault in _member(name, value, found.get(name), place)]


def _member(name: str, wanted: Any, found: Any, place: str) -> list[str]:
    path = f"{place}{name}"
    if wanted is None:
        return [] if found in ABSENT else [path]
    if name in IN_ANY_ORDER and isinstance(found, list):
        return [] if sorted(map(str, wanted)) == sorted(map(str, found)) else [path]
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        if name in WHOLE and dict(wanted) != dict(found):
            return [path]
        return differing(wanted, found, f"{path}.")
    if isinstance(wanted, list) and isinstance(found, list):
        return [] if _same_list(wanted, found) else [path]
    return [] if wanted == found else [path]


def _same_list(wanted: list[Any], found: list[Any]) -> bool:
    return len(wanted) == len(found) and all(
        not _member("", mine, theirs, "") for mine, theirs in zip(wanted, found, strict=True)
    )


def sendable(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body without the members that must be absent: Vapi takes no nulls inside a record."""
    return {
        name: sendable(value) if isinstance(value, Mapping) else value
        for name, value in body.items()
        if value is not None
    }
