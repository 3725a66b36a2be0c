"""Staff pages show and read times on the clinic's own clock."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from datetime import date, datetime, time, timedelta
from functools import wraps
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import HttpRequest, HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.utils import timezone

from voxanne.staff import people
from voxanne.tenancy.models import Organization

UTC = ZoneInfo("UTC")
# Whether the page shown now is read by somebody who sees clinics in several places.
_tells_zone: ContextVar[bool] = ContextVar("staff_tells_zone", default=False)
View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def on_the_clinics_clock(view: View) -> View:
    """Wraps a view of a ModelAdmin: times are read and rendered in the zone of the row's clinic, of the clinic
    that the form names, or of the person's only clinic; else in UTC. Rendering happens here for that reason."""

    @wraps(view)
    def told(admin: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        object_id = kwargs.get("object_id") or (args[0] if args and isinstance(args[0], str) else None)
        token = _tells_zone.set(people.sole_clinic(request) is None)
        try:
            with timezone.override(zone_for(admin, request, object_id)):
                response = view(admin, request, *args, **kwargs)
                if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
                    response.render()
                return response
        finally:
            _tells_zone.reset(token)

    return told  # type: ignore[return-value]


def tells_zone() -> bool:
    """Whether a time needs its zone's name beside it on the page shown now."""
    return _tells_zone.get()


def zone_for(admin: Any, request: HttpRequest, object_id: str | None = None) -> ZoneInfo:
    """The zone in which a page of ``admin`` tells the time."""
    sole = people.sole_clinic(request)
    if sole is not None:
        return sole.zone
    try:
        if object_id:
            names = admin.get_queryset(request).filter(pk=object_id).values_list(admin.zone_path, flat=True)
        else:
            named = Organization.objects.filter(pk=request.POST["org"]) if request.POST.get("org") else None
            names = named.values_list("timezone", flat=True) if named is not None else []
        return ZoneInfo(names[0]) if names else UTC
    except (ValidationError, ValueError):
        return UTC


def within_days(request: HttpRequest, field: str, first: date | None, last: date | None) -> Q:
    """Rows whose ``field`` falls on the local days from ``first`` to ``last``, both whole and inclusive. A day
    begins at each clinic's own midnight."""
    zones = known_zones(request)
    if len(zones) == 1:
        return _span(field, zones[0], first, last)
    days = Q(pk__in=[])
    for zone in zones:
        days |= Q(org__timezone=zone.key) & _span(field, zone, first, last)
    return days


def today(request: HttpRequest, field: str) -> Q:
    """Rows whose ``field`` falls on what is today at their clinic."""
    now = timezone.now()
    days = Q(pk__in=[])
    for zone in known_zones(request):
        day = now.astimezone(zone).date()
        days |= Q(org__timezone=zone.key) & _span(field, zone, day, day)
    # No clock on earth is further than a day from another's: this lets an index find the few rows to look at.
    nearby = Q(**{f"{field}__gte": now - timedelta(days=2), f"{field}__lt": now + timedelta(days=2)})
    return nearby & days


def known_zones(request: HttpRequest) -> list[ZoneInfo]:
    """The zones of the clinics that the person may see."""
    if not hasattr(request, "staff_zones"):
        names = Organization.objects.order_by("timezone").values_list("timezone", flat=True).distinct()
        request.staff_zones = [ZoneInfo(name) for name in names] or [UTC]  # type: ignore[attr-defined]
    zones: list[ZoneInfo] = request.staff_zones  # type: ignore[attr-defined]
    return zones


def _span(field: str, zone: ZoneInfo, first: date | None, last: date | None) -> Q:
    span = Q()
    if first is not None:
        span &= Q(**{f"{field}__gte": _midnight(first, zone)})
    if last is not None:
        span &= Q(**{f"{field}__lt": _midnight(last + timedelta(days=1), zone)})
    return span


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, tzinfo=zone)
