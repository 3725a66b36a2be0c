"""What the start page says when texts do not go out: because nobody works in the background, or because something holds
them. Nothing is said while all is well."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from messaging.models import Message
from messaging.states import MessageState
from monitoring.heartbeats import ages, background_jobs_live
from voxanne.staff.start import Figure, add_figure, counted

# As the list of texts calls one overdue.
OVERDUE = timedelta(seconds=30)
# A text that was tried and goes out at the second try needs nobody's attention.
TOO_LONG = timedelta(minutes=1)


def background_work(request: HttpRequest) -> Figure | None:
    """A figure only while beat or the worker shows no life."""
    if background_jobs_live(ages()):
        return None
    note = "texts, calendars and missed calls wait: tell Voxanne's support now"
    return Figure("Background work", "Stopped", note, _waiting(), alarming=True)


def held_texts() -> QuerySet[Message]:
    """Texts that should have gone out: overdue, or put back for a reason that lasts."""
    now = timezone.now()
    overdue = Q(next_attempt_at__lt=now - OVERDUE)
    held = ~Q(last_error="") & Q(created_at__lt=now - TOO_LONG)
    rows: QuerySet[Message] = Message.objects.filter(
        overdue | held, state=MessageState.QUEUED, expires_at__gt=now
    )
    return rows


def texts_held_up(request: HttpRequest) -> Figure | None:
    """A figure only while there are some, with what holds the one that waits longest."""
    rows = held_texts()
    first = rows.order_by("created_at").first()
    if first is None:
        return None
    note = first.last_error or "they are due, and nobody has sent them yet"
    return Figure("Texts held up", counted(rows), note, _waiting(), alarming=True)


def _waiting() -> str:
    return f"{reverse('admin:messaging_message_changelist')}?state__exact=queued"


add_figure(5, background_work)
add_figure(32, texts_held_up)
