"""The ledger's work as a worker does it, in the test's own transaction."""

from __future__ import annotations

from typing import Any

from telephony.models import WebhookDelivery
from telephony.webhooks.ledger import WEBHOOK
from tests.clinics import Clinic
from tests.telephony.vapi_client import VapiCaller
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope


def work_off() -> int:
    """Works off every webhook that is due; returns how many."""
    done = 0
    while (claimed := work.claim_next(WEBHOOK)) is not None:
        work.perform(WEBHOOK, claimed)
        done += 1
    return done


def news(call: VapiCaller, kind: str, **members: Any) -> None:
    """Posts a message that wants no reply, and works it off."""
    call.say(kind, **members)
    work_off()


def deliveries(clinic: Clinic) -> list[WebhookDelivery]:
    """The clinic's webhooks, oldest first."""
    with org_scope(clinic.id):
        return list(WebhookDelivery.objects.order_by("created_at", "pk"))


def fresh(delivery: WebhookDelivery) -> WebhookDelivery:
    with org_scope(delivery.org_id):
        found: WebhookDelivery = WebhookDelivery.objects.get(pk=delivery.pk)
    return found
