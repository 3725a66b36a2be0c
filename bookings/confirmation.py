"""What a patient is texted about a visit: made in the visit's own transaction, never after it has begun."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.utils import timezone

from bookings.patient_token import link_for
from bookings.plan import ClinicPlan
from bookings.spoken import spoken_time, written_date
from messaging import outbox
from messaging.states import MessageKind
from messaging.words.wording import words_for


def about(appointment_id: UUID) -> str:
    return f"appointment:{appointment_id}"


def queue_text(
    plan: ClinicPlan,
    kind: MessageKind,
    *,
    appointment_id: UUID,
    contact_id: UUID,
    recipient: str | None,
    starts_at: datetime,
    code: str,
    token_version: int = 1,
) -> str:
    """Queues one text of ``kind`` about the visit; returns queued, suppressed or skipped."""
    if not recipient:
        return "skipped"
    local = starts_at.astimezone(plan.zone)
    values = {
        "clinic": plan.name,
        "date": written_date(local.date()),
        "time": spoken_time(starts_at, plan.zone, plan.country),
        "code": code,
        "link": link_for(appointment_id, token_version),
    }
    return outbox.enqueue(
        org_id=plan.key.org_id,
        kind=kind,
        recipient=recipient,
        body=words_for(plan.key, kind, values),
        dedupe_key=f"{kind.value}:{appointment_id}",
        expires_at=max(starts_at, timezone.now() + outbox.SHORTEST_LIFE),
        contact_id=contact_id,
        about=about(appointment_id),
        template_values=values,
    ).status


def withdraw_texts(org_id: UUID, appointment_id: UUID) -> int:
    """Withdraws what still waits to be said about the visit."""
    return outbox.cancel_about(org_id, about(appointment_id))
