"""What keeps texts waiting although the queue itself is well: senders that are paused, circuits that are open."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet

from messaging.models import SenderAccount
from messaging.queue_health import Concern
from messaging.sending import pauses
from monitoring.breaker import Service, failing_now
from monitoring.service_words import name_of, whose_circuit
from voxanne.tenancy.scope import scope_at_hand

MOST_NAMED = 20
OF_TEXTS = (Service.TWILIO_SMS, Service.TWILIO_WHATSAPP)


@dataclass(frozen=True, slots=True)
class Paused:
    """``named``: "Elm Street (elm-street): why", of the first ``MOST_NAMED``."""

    number: int
    named: tuple[str, ...]

    @property
    def told(self) -> str:
        more = self.number - len(self.named)
        return "; ".join(self.named) + (f"; and {more} more" if more else "")


def paused_senders() -> Paused:
    """The senders of every clinic that are held back, by text or by WhatsApp."""
    with scope_at_hand("which senders are paused"):
        rows: QuerySet[SenderAccount] = SenderAccount.objects.exclude(
            paused_reason="", whatsapp_paused_reason=""
        )
        # A credential that cannot be read would keep back whose sending is paused.
        listed = (
            rows.select_related("org").defer("auth_token", "api_secret").order_by("org__slug")[:MOST_NAMED]
        )
        return Paused(rows.count(), tuple(_named(sender) for sender in listed))


def _named(sender: SenderAccount) -> str:
    whose = f"{sender.org.name} ({sender.org.slug})"
    if sender.paused_reason:
        return f"{whose}: {pauses.told_reason(sender.paused_reason).rstrip('.')}"
    return f"{whose}, WhatsApp alone: {sender.whatsapp_paused_reason.rstrip('.')}"


def standing_concerns() -> list[Concern]:
    """The same as things that somebody should look at."""
    found = []
    paused = paused_senders()
    if paused.number:
        found.append(Concern("senders_paused", "warning", f"Sending is paused: {paused.told}."))
    with scope_at_hand("whose circuits are open"):
        for one in failing_now(OF_TEXTS):
            said = f"{name_of(one.service)} is failing for {whose_circuit(one.clinic)}: texts wait."
            found.append(Concern("circuit_open", "critical" if one.clinic is None else "warning", said))
    return found
