"""The number a patient calls to change a visit. The floor above knows which lines a clinic has, and says so here."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from messaging.models import SenderAccount

Line = Callable[[UUID], str]
_lines: list[Line] = []


def register_line(find: Line) -> None:
    """``find`` tells a clinic's number (E.164), blank where it has none; asked inside the clinic's scope."""
    _lines.append(find)


def line_of(org_id: UUID) -> str:
    """The number patients dial, else the one they get texts from; blank when there is neither."""
    for find in _lines:
        number = find(org_id)
        if number:
            return number
    return SenderAccount.objects.filter(org_id=org_id).values_list("number", flat=True).first() or ""
