"""Who asked not to be texted: an append-only ledger, asked again at the moment of sending."""

from __future__ import annotations

from uuid import UUID

from messaging.models import Message, OptOut


def has_opted_out(org_id: UUID, *, sender: str, recipient: str) -> bool:
    """The newest line for this pair decides. Inside the clinic's scope."""
    newest = (
        OptOut.objects.filter(org_id=org_id, sender=sender, recipient=recipient)
        .order_by("-created_at")
        .values_list("opted_out", flat=True)
        .first()
    )
    return bool(newest)


def record(org_id: UUID, *, sender: str, recipient: str, opted_out: bool, source: str) -> None:
    """Adds a line to the ledger. Inside the clinic's scope."""
    OptOut.objects.create(
        org_id=org_id, sender=sender, recipient=recipient, opted_out=opted_out, source=source
    )


def record_carrier_block(message: Message) -> None:
    """The provider or carrier says that this person takes no texts from this sender."""
    record(
        message.org_id, sender=message.sender, recipient=message.recipient, opted_out=True, source="carrier"
    )
