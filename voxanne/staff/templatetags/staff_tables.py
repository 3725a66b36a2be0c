"""Cells with the names of their columns: on a phone, where a row is a card, no heading stands above them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import template

register = template.Library()


@register.filter
def under(row: Sequence[Any], columns: Sequence[str]) -> list[tuple[str, Any]]:
    """Each cell of the row, behind the name of its column."""
    return list(zip(columns, row, strict=False))
