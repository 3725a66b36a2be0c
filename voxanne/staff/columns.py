"""What lists and pages show of a row: badges, times on the clinic's clock, masked numbers, links."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from voxanne.staff.clock import tells_zone

Shown = TypeVar("Shown", bound=Callable[..., Any])

NOTHING = "–"


def shown(title: str, *, ordering: str | None = None) -> Callable[[Shown], Shown]:
    """Names a column, and the field that its heading sorts by."""

    def named(function: Shown) -> Shown:
        function.short_description = title  # type: ignore[attr-defined]
        if ordering is not None:
            function.admin_order_field = ordering  # type: ignore[attr-defined]
        return function

    return named


def badge(title: str, field: str, tones: Mapping[str, str]) -> Callable[..., SafeString]:
    """A column that shows a field's choice as a badge, coloured by ``tones``: success, info, warning, danger,
    primary, or blank for grey."""

    @shown(title, ordering=field)
    def told(admin: Any, row: Any) -> SafeString:
        return label(getattr(row, f"get_{field}_display")(), tones.get(getattr(row, field), ""))

    return told


def label(text: str, tone: str = "") -> SafeString:
    """A badge; ``tone`` as in ``badge``."""
    return format_html('<span class="staff-label{}">{}</span>', f" staff-label-{tone}" if tone else "", text)


def clock(title: str, field: str) -> Callable[[Model], str]:
    """A column that tells ``field`` (an instant) on the clock of the row's clinic."""

    @shown(title, ordering=field)
    def told(row: Any) -> str:
        return clinic_time(row, getattr(row, field))

    told.__name__ = f"{field}_told"
    return told


def utc_clock(title: str, field: str) -> Callable[[Model], str]:
    """A column that tells ``field`` of a row that belongs to no clinic: "Tue 24 Nov 2026, 10:30 UTC"."""

    @shown(title, ordering=field)
    def told(row: Any) -> str:
        at: datetime | None = getattr(row, field)
        return f"{at.astimezone(UTC):%a %-d %b %Y, %H:%M} UTC" if at else NOTHING

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


def clinic_time(row: Any, at: datetime | None, *, zone: bool | None = None) -> str:
    """ "Tue 24 Nov 2026, 10:30" on the clock of the row's clinic; with the zone ("EST") for those who see several
    clinics, or as ``zone`` says."""
    if not at:
        return NOTHING
    local = at.astimezone(row.org.zone)
    named = tells_zone() if zone is None else zone
    return f"{local:%a %-d %b %Y, %H:%M}{f' {local:%Z}' if named else ''}"


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
