"""Who decided what about a text, and why: a line a text in the clinic's audit trail."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from messaging.models import Message
from voxanne.tenancy.models import AuditEntry, User


def record(message: Message, act: str, reason: str, actor: User | None) -> None:
    """``act`` is ``message.verb``; without ``actor`` nobody was signed in. Inside the clinic's scope."""
    record_many(message.org_id, [message.pk], act, reason, actor.pk if actor else None)


def record_many(org_id: UUID, pks: Iterable[UUID], act: str, reason: str, actor_id: int | None) -> None:
    """The same of many texts of one clinic."""
    AuditEntry.objects.bulk_create(
        AuditEntry(
            org_id=org_id,
            actor_id=actor_id,
            action=act,
            subject=f"{Message._meta.db_table}:{pk}",
            reason=reason,
        )
        for pk in pks
    )
