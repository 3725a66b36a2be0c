"""An answer of our own to HELP, for clinics whose Twilio account gives none: one a person in so many hours. Off by
default: never answer twice."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from messaging import outbox
from messaging.conversation import book
from messaging.manners import automatic
from messaging.manners.policy import policy_of
from messaging.states import MessageKind
from voxanne.tenancy.models import Organization
from voxanne.tenancy.plan_cache import ClinicKey

USEFUL_FOR = timedelta(hours=1)
PAUSE = timedelta(hours=4)
HELP_ANSWER = "{clinic}: we text you about your visits. Call us for help. Reply STOP to opt out."


def answer_help(org_id: UUID, sid: str, asker: str, *, said_by_twilio: str) -> None:
    """Writes the answer to the text ``sid`` into the outbox, once. Not where ``said_by_twilio`` (``OptOutType``) shows
    that Twilio's Advanced Opt-Out has answered. In the clinic's scope."""
    clinic = Organization.objects.get(pk=org_id)
    if said_by_twilio or not policy_of(ClinicKey(org_id, clinic.plan_version)).answers_help:
        return
    if not automatic.may_be_answered(clinic, asker):
        return
    if not book.takes_turn(org_id, asker, PAUSE, book.TAKE_TURN_HELP):
        return
    outbox.enqueue(
        org_id=org_id,
        kind=MessageKind.REPLY,
        recipient=asker,
        body=HELP_ANSWER.format(clinic=clinic.name),
        dedupe_key=automatic.HELP_KEY.format(sid),
        expires_at=timezone.now() + USEFUL_FOR,
        priority=automatic.LAST_IN_LINE,
    )
