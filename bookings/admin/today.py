"""What visits put on the start page: how many today, today's list, and the next six."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from bookings.admin.appointments import STATUS_TONES
from bookings.models import Appointment
from bookings.states import LIVE_STATES
from voxanne.staff import people
from voxanne.staff.clock import today
from voxanne.staff.columns import label, link, page_of
from voxanne.staff.start import Figure, Table, add_figure, add_table, counted

MOST_TODAY = 40
NEXT = 6


def _list(parameters: str = "") -> str:
    return reverse("admin:bookings_appointment_changelist") + parameters


def _todays(request: HttpRequest) -> QuerySet[Appointment]:
    return Appointment.objects.filter(today(request, "starts_at")).exclude(status="cancelled")


def appointments_today(request: HttpRequest) -> Figure:
    visits = _todays(request)
    by_agent = counted(visits.filter(source="voice"))
    return Figure(
        "Appointments today", counted(visits), f"{by_agent} booked by the agent", _list("?when=today")
    )


def table_today(request: HttpRequest) -> Table:
    return _table(
        request, "Today", _todays(request), MOST_TODAY, "No visits today.", ("?when=today", "All of today")
    )


def table_next(request: HttpRequest) -> Table:
    coming = Appointment.objects.filter(starts_at__gte=timezone.now(), status__in=LIVE_STATES)
    return _table(request, "Next six appointments", coming, NEXT, "Nothing is booked.", ("", "All upcoming"))


def _table(
    request: HttpRequest,
    title: str,
    visits: QuerySet[Appointment],
    most: int,
    empty: str,
    more: tuple[str, str],
) -> Table:
    several = people.sole_clinic(request) is None
    rows = visits.select_related("org", "provider", "service", "contact").order_by("starts_at")[:most]
    columns = ("When", "Patient", "Status")
    return Table(title, columns, [_row(visit, several) for visit in rows], empty, _list(more[0]), more[1])


def _row(visit: Appointment, several: bool) -> tuple[Any, ...]:
    """When, who with whom for what (and at which clinic, for those who see several), and the status."""
    about = [visit.service.name, visit.provider.name, *([visit.org.name] if several else [])]
    return (
        link(page_of("bookings_appointment", visit.pk), _when(visit, timezone.now(), several)),
        format_html(
            '<strong>{}</strong><br><span class="staff-quiet">{}</span>',
            visit.patient_name or visit.contact.name or "(no name)",
            " · ".join(about),
        ),
        label(visit.get_status_display(), STATUS_TONES[visit.status]),
    )


def _when(visit: Appointment, now: datetime, several: bool) -> str:
    """ "09:30" on the clinic's today, else "Mon 23 Nov, 09:30"; with the zone for those who see several clinics."""
    local = visit.starts_at.astimezone(visit.org.zone)
    same_day = local.date() == now.astimezone(visit.org.zone).date()
    told = f"{local:%H:%M}" if same_day else f"{local:%a %-d %b, %H:%M}"
    return f"{told} {local:%Z}" if several else told


add_figure(10, appointments_today)
add_table(10, table_today)
add_table(20, table_next)
