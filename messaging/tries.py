"""The tries at sending a message: one row each, written before the request leaves. Inside the clinic's scope."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from messaging.models import DeliveryAttempt, Message
from messaging.providers.answers import Answer, TryOutcome
from voxanne.durable.work import STOPPED


def begin(message: Message) -> UUID:
    """Writes a new try down; one that never ended belonged to a worker that stopped."""
    _end_open(message)
    row = DeliveryAttempt.objects.create(org_id=message.org_id, message=message, started_at=timezone.now())
    return row.pk


def end(try_id: UUID, answer: Answer) -> None:
    """Completes a try with what came of it."""
    DeliveryAttempt.objects.filter(pk=try_id).update(
        finished_at=timezone.now(),
        outcome=answer.outcome.value,
        http_status=answer.http_status,
        error_code=answer.error_code,
        error=answer.error,
        provider_sid=answer.sid,
    )


def is_known(message: Message, sid: str) -> bool:
    """Whether this SID is the message's, or that of one of its tries."""
    return message.provider_sid == sid or message.tries.filter(provider_sid=sid).exists()


def note_sid(message: Message, sid: str) -> None:
    """Gives the SID that came to light later to the newest try that has none."""
    _end_open(message)
    newest = message.tries.filter(provider_sid="").order_by("-started_at").first()
    if newest is not None:
        newest.provider_sid = sid
        newest.save(update_fields=["provider_sid"])


def taken_sids(sids: Iterable[str]) -> set[str]:
    """Those of ``sids`` that belong to a message or a try we know of."""
    wanted = Q(provider_sid__in=[sid for sid in sids if sid])
    of_messages = Message.objects.filter(wanted).values_list("provider_sid", flat=True)
    return {*of_messages, *DeliveryAttempt.objects.filter(wanted).values_list("provider_sid", flat=True)}


def _end_open(message: Message) -> None:
    """A try that is still under way may complete its row itself: what it says then is the last word."""
    message.tries.filter(finished_at__isnull=True).update(
        finished_at=timezone.now(), outcome=TryOutcome.LOST.value, error=STOPPED
    )
