"""The start page: what today asks of the people at the desk. Each floor adds its own figures and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from voxanne.staff import people

COUNTED_UP_TO = 1_000


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with its name, and where to look further. ``alarming`` marks a number that should be nought."""

    title: str
    value: str
    note: str
    url: str
    alarming: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A few rows. Cells are text or safe HTML; ``empty`` is said where there are none."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    empty: str
    url: str
    url_text: str


_figures: dict[int, Callable[[HttpRequest], Figure | None]] = {}
_tables: dict[int, Callable[[HttpRequest], Table]] = {}


def add_figure(place: int, figure: Callable[[HttpRequest], Figure | None]) -> None:
    """Puts a figure on the start page; lower places come first. None leaves it out today."""
    _figures[place] = figure


def add_table(place: int, table: Callable[[HttpRequest], Table]) -> None:
    _tables[place] = table


def counted(rows: QuerySet[Any]) -> str:
    """How many rows, counted no further than ``COUNTED_UP_TO``."""
    number = rows.order_by()[: COUNTED_UP_TO + 1].count()
    return f"{COUNTED_UP_TO:,}+" if number > COUNTED_UP_TO else f"{number:,}"


def start_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the page's template needs beyond the theme's own context."""
    clinic = people.sole_clinic(request)
    zone = clinic.zone if clinic else timezone.get_default_timezone()
    return {
        **context,
        "whose": clinic.name
        if clinic
        else ("All clinics" if people.is_operator(request) else "Your clinics"),
        "day": f"{timezone.now().astimezone(zone):%A %-d %B %Y}",
        "zone": clinic.timezone if clinic else "",
        "figures": [figure for place in sorted(_figures) if (figure := _figures[place](request)) is not None],
        "tables": [_tables[place](request) for place in sorted(_tables)],
    }
