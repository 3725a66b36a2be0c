"""What the start page says when texts do not go out: because nobody works in the background, Twilio fails, or
something holds them. Nothing is said while all is well."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from messaging.manners.budget import MINUTE_FULL
from messaging.manners.policy import HELD_BY_BUDGET, HELD_FOR_THE_NIGHT
from messaging.models import Message
from messaging.providers.twilio.client import NEVER_CONNECTED
from messaging.sending import pauses
from messaging.sending.circuit import FAILING
from messaging.sending.pace import IN_LINE
from messaging.states import MessageState
from monitoring.breaker import Service, failing_now
from monitoring.circuits import CircuitReport
from monitoring.heartbeats import ages, background_jobs_live
from monitoring.service_words import whose_circuit
from voxanne.staff import people
from voxanne.staff.columns import short_span
from voxanne.staff.start import COUNTED_UP_TO, Figure, add_figure

# As the list of texts calls one overdue.
OVERDUE = timedelta(seconds=30)
# A text that was tried and goes out at the second try needs nobody's attention.
TOO_LONG = timedelta(minutes=1)
OF_TEXTS = (Service.TWILIO_SMS, Service.TWILIO_WHATSAPP)
NOBODY_SENDS = "they are due, and nobody has sent them yet"
FATE_UNKNOWN = "nobody knows yet whether they went out; Twilio is asked by itself"


def background_work(request: HttpRequest) -> Figure | None:
    """A figure only while beat or the worker shows no life."""
    if background_jobs_live(ages()):
        return None
    note = "no text goes out, calendars and missed calls wait: tell Voxanne's support now"
    return Figure("Background work", "Stopped", note, _listed(), alarming=True)


def held_texts() -> QuerySet[Message]:
    """Texts that should have gone out: overdue, put back for a reason that lasts, or of a fate that nobody knows yet.
    One that waits for its own next try, its place in the line or the morning is where it should be."""
    now = timezone.now()
    overdue = Q(next_attempt_at__lt=now - OVERDUE)
    held = ~Q(last_error="") & Q(created_at__lt=now - TOO_LONG) & ~_as_planned()
    waiting = Q(state=MessageState.QUEUED, expires_at__gt=now) & (overdue | held)
    unknown = Q(state=MessageState.UNKNOWN) & ~Q(unknown_since__gte=now - TOO_LONG)
    rows: QuerySet[Message] = Message.objects.filter(waiting | unknown)
    return rows


def _as_planned() -> Q:
    """What a text says that was put back until a moment of its own."""
    in_line = Q(last_error=IN_LINE) | Q(last_error=MINUTE_FULL)
    tried = Q(attempts__gt=0) & ~_lasts()
    return in_line | Q(last_error__startswith=HELD_FOR_THE_NIGHT) | tried


def _lasts() -> Q:
    """What holds a text up for as long as it lasts, however often it was tried before."""
    said = (pauses.HELD, HELD_BY_BUDGET, NEVER_CONNECTED)
    return reduce(or_, (Q(last_error__startswith=words) for words in said), Q(last_error=FAILING))


def texts_held_up(request: HttpRequest) -> Figure | None:
    """A figure only while there are some, with what holds most of them."""
    late = timezone.now() - OVERDUE
    listed = held_texts().order_by().values_list("state", "next_attempt_at", "last_error")
    causes = Counter(_cause(late, *row) for row in listed[: COUNTED_UP_TO + 1])
    if not causes:
        return None
    (cause, _), *others = causes.most_common()
    number = causes.total()
    shown = f"{COUNTED_UP_TO:,}+" if number > COUNTED_UP_TO else f"{number:,}"
    note = f"most of them: {cause}" if others else cause
    state = MessageState.UNKNOWN if cause == FATE_UNKNOWN else MessageState.QUEUED
    return Figure("Texts held up", shown, note, _listed(state), alarming=True)


def _cause(late: datetime, state: str, due: datetime, said: str) -> str:
    if state == MessageState.UNKNOWN:
        return FATE_UNKNOWN
    return NOBODY_SENDS if due < late or not said else said


def twilio_failing(request: HttpRequest) -> Figure | None:
    """A figure only while texts wait because Twilio fails: since when, and for whom."""
    failing = [one for one in failing_now(OF_TEXTS) if _concerns(request, one)]
    if not failing:
        return None
    clinic = people.sole_clinic(request)
    since = datetime.fromtimestamp(min(one.failing_since or one.opened_at or 0.0 for one in failing), UTC)
    at = f"{since.astimezone(clinic.zone):%H:%M}" if clinic else f"{since:%H:%M} UTC"
    for_whom = "" if clinic else f" for {_whose(failing)}"
    note = f"since {at} ({short_span(timezone.now() - since)}){for_whom}; texts wait and go out by themselves"
    return Figure("Twilio", "Failing", note, _listed(), alarming=True)


def _concerns(request: HttpRequest, report: CircuitReport) -> bool:
    if report.clinic is None or people.is_operator(request):
        return True
    return report.clinic in {str(clinic.pk) for clinic in people.clinics(request)}


def _whose(failing: list[CircuitReport]) -> str:
    clinics = {one.clinic for one in failing}
    return whose_circuit(clinics.pop()) if len(clinics) == 1 else _several(clinics)


def _several(clinics: set[str | None]) -> str:
    return whose_circuit(None) if None in clinics else f"{len(clinics)} clinics"


def _listed(state: MessageState = MessageState.QUEUED) -> str:
    return f"{reverse('admin:messaging_message_changelist')}?state__exact={state.value}"


add_figure(5, background_work)
add_figure(6, twilio_failing)
add_figure(32, texts_held_up)
