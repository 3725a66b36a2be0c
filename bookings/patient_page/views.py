"""``/a/<token>`` and ``/a/<token>.ics``: the patient's own page for one visit, to see and to put in a calendar.

It works without scripts and keeps its address to itself: no referrer, no cache, no index. A token that is unknown,
forged or revoked gives one and the same page.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import mark_safe
from django.views.decorators.csrf import csrf_exempt

from bookings.patient_page.calendar_file import CONTENT_TYPE, calendar_file
from bookings.patient_page.visit import PatientVisit, Standing, visit_of
from bookings.spoken import MONTHS, spoken_time, written_date
from messaging.phone_numbers import spaced
from monitoring.errors import RETRY_AFTER_SECONDS
from monitoring.limits import PATIENT_LINKS, over_limit_by_address

View = Callable[[HttpRequest, str], HttpResponse]

TEMPLATES = Path(__file__).resolve().parent.parent / "templates" / "bookings" / "patient_page"
STYLE = (TEMPLATES / "page.css").read_text(encoding="utf-8")
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
}
MESSAGES = {
    404: (
        "This link does not open a visit",
        "It may be incomplete, or it is no longer valid. Open the link in your clinic's newest text, or call them.",
    ),
    405: ("This page is to be read", "To change or cancel your visit, please call the clinic."),
    429: (
        "Just a moment",
        "This page was opened very often from your connection. Please try again in a minute.",
    ),
    503: ("Back in a moment", "We cannot look up your visit right now. Please try again soon."),
}
BADGES = {Standing.BOOKED: "Booked", Standing.CANCELLED: "Cancelled", Standing.PAST: "Past"}


def for_patients(view: View) -> View:
    """What every answer to a patient has in common: its headers, its limits, and pages for what goes wrong."""

    @csrf_exempt
    @wraps(view)
    def answered(request: HttpRequest, token: str) -> HttpResponse:
        response = _answer(view, request, token)
        for name, value in HEADERS.items():
            response.headers[name] = value
        return response

    return answered


def _answer(view: View, request: HttpRequest, token: str) -> HttpResponse:
    if request.method not in ("GET", "HEAD"):
        return message(405, {"Allow": "GET, HEAD"})
    too_many = over_limit_by_address(request, PATIENT_LINKS)
    if too_many is not None:
        return message(429, {"Retry-After": too_many.headers["Retry-After"]})
    try:
        return view(request, token)
    except DatabaseError:
        return message(503, {"Retry-After": RETRY_AFTER_SECONDS})


def message(status: int, headers: dict[str, str] | None = None) -> HttpResponse:
    title, text = MESSAGES[status]
    return HttpResponse(_page("message", title=title, text=text), status=status, headers=headers)


@for_patients
def page(request: HttpRequest, token: str) -> HttpResponse:
    now = timezone.now()
    visit = visit_of(token, now)
    if visit is None:
        return message(404)
    return HttpResponse(_page("visit", title=f"Your visit at {visit.clinic}", **_shown(visit, token, now)))


@for_patients
def calendar(request: HttpRequest, token: str) -> HttpResponse:
    now = timezone.now()
    visit = visit_of(token, now)
    if visit is None:
        return message(404)
    disposition = {"Content-Disposition": 'inline; filename="visit.ics"'}
    return HttpResponse(calendar_file(visit, now), content_type=CONTENT_TYPE, headers=disposition)


def _page(template: str, **context: Any) -> str:
    # Our own file, and the page's policy lets no other style in.
    style = mark_safe(STYLE)
    return render_to_string(f"bookings/patient_page/{template}.html", {**context, "style": style})


def _shown(visit: PatientVisit, token: str, now: datetime) -> dict[str, Any]:
    local = visit.starts_at.astimezone(visit.zone)
    upcoming = visit.ends_at > now
    return {
        "visit": visit,
        "badge": BADGES[visit.standing],
        "starts": local.isoformat(timespec="minutes"),
        "date": written_date(local.date()),
        "month": MONTHS[local.month - 1][:3],
        "day": local.day,
        "time": spoken_time(visit.starts_at, visit.zone, visit.country),
        "place_of_time": visit.zone.key.rpartition("/")[2].replace("_", " "),
        "line": spaced(visit.line) if visit.line else "",
        "calendar_file": f"/a/{token}.ics" if upcoming else "",
        "is_booked": visit.standing is Standing.BOOKED,
        "is_cancelled": visit.standing is Standing.CANCELLED,
    }
