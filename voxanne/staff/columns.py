"""What lists and pages show of a row: badges, times on the clinic's clock, masked numbers, links."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

Shown = TypeVar("Shown", bound=Callable[..., Any])

NOTHING = "–"


def shown(
    title: str,
    *,
    ordering: str | None = None,
    badge: Mapping[str, str] | None = None,
    boolean: bool = False,
) -> Callable[[Shown], Shown]:
    """Names a column. With ``badge`` the function returns (key, text) and the mapping gives each key its tone:
    success, info, warning, danger, primary or "" for grey."""

    def named(function: Shown) -> Shown:
        marks: dict[str, Any] = {"short_description": title}
        if ordering is not None:
            marks["admin_order_field"] = ordering
        if badge is not None:
            marks["label"] = badge
        if boolean:
            marks["boolean"] = True
        for name, value in marks.items():
            setattr(function, name, value)
        return function

    return named


def clock(title: str, field: str) -> Callable[[Model], str]:
    """A column that tells ``field`` (an instant) on the clock of the row's clinic."""

    @shown(title, ordering=field)
    def told(row: Any) -> str:
        return clinic_time(row, getattr(row, field))

    told.__name__ = f"{field}_told"
    return told


def age(title: str, field: str) -> Callable[[Model], str]:
    """A column that tells how long ago ``field`` was: "3 min", "5 h", "12 d"."""

    @shown(title, ordering=f"-{field}")
    def told(row: Any) -> str:
        at = getattr(row, field)
        return short_span(timezone.now() - at) if at else NOTHING

    told.__name__ = f"{field}_age"
    return told


def clinic_time(row: Any, at: datetime | None) -> str:
    """ "Tue 24 Nov 2026, 10:30" on the clock of the row's clinic."""
    return local_time(at, row.org.zone) if at else NOTHING


def local_time(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%a %-d %b %Y, %H:%M}"


def short_span(span: timedelta) -> str:
    """The largest whole unit: "40 s", "3 min", "5 h", "12 d"."""
    seconds = max(int(span.total_seconds()), 0)
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def page_of(kind: str, pk: UUID | str | None) -> str:
    """The address of a row's page; ``kind`` is app_model, such as ``bookings_appointment``. Blank without a row."""
    if not pk:
        return ""
    try:
        return reverse(f"admin:{kind}_change", args=(pk,))
    except NoReverseMatch:
        return ""


def link(url: str, text: str) -> SafeString | str:
    """A link that looks like one; the bare text without an address."""
    return format_html('<a class="staff-link" href="{}">{}</a>', url, text) if url else text


def link_to(row: Model | None) -> SafeString | str:
    """A link to the row's own page, in the row's words."""
    if row is None:
        return NOTHING
    return link(page_of(f"{row._meta.app_label}_{row._meta.model_name}", row.pk), str(row))


def prose(text: str) -> SafeString | str:
    """Longer text with its line breaks, escaped."""
    return format_html('<div class="staff-prose">{}</div>', text) if text else NOTHING
