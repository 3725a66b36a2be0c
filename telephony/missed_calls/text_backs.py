"""The text that a missed caller gets: to whom, and in which words. Written in the transaction that settles the call."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from bookings.models import Appointment
from bookings.opening import is_open
from bookings.plan import ClinicPlan
from bookings.states import LIVE_STATES
from messaging.inbound import clinic_texted_at
from messaging.models import Contact
from messaging.outbox import enqueue
from messaging.phone_numbers import InvalidPhoneNumber, is_mobile_possible, is_withheld, normalise
from messaging.states import MessageKind, MessageState
from messaging.words.wording import words_for
from monitoring import metrics
from telephony.clinics import is_our_number
from telephony.models import ActiveCall, Call, TextBack
from voxanne.statements import Statement
from voxanne.tenancy.ids import new_id

Text = ActiveCall.Text

COOL_DOWN = timedelta(minutes=30)
# Later than this, an apology for a missed call only puzzles.
USEFUL_FOR = timedelta(hours=2)
KINDS = (MessageKind.MISSED_CALL, MessageKind.MISSED_CALL_AFTER_HOURS)

# The row decides: of calls settled at once, the second waits here for the first and then finds itself too early.
MAY_TEXT = Statement("""
INSERT INTO text_backs AS known (id, org_id, number, caller, texted_at, created_at)
VALUES (%(id)s, %(org)s, %(number)s, %(caller)s, clock_timestamp(), now())
ON CONFLICT ON CONSTRAINT one_text_back_a_caller DO UPDATE SET texted_at = excluded.texted_at
WHERE known.texted_at <= excluded.texted_at - %(cool_down)s::interval
RETURNING id
""")


def text_back(call: ActiveCall, plan: ClinicPlan, now: datetime) -> tuple[Text, UUID | None]:
    """Writes the text to the call's caller unless a rule keeps it back; says which, and the text's id.

    Inside the clinic's scope, in the transaction that settles the call.
    """
    try:
        caller = normalise(call.from_number, plan.country)
    except InvalidPhoneNumber:
        return Text.WITHHELD, None
    kept_back = _kept_back(call, caller)
    if kept_back is not None:
        return kept_back, None
    begun = _begin_cool_down(call, caller)
    if begun is None:
        metrics.count_duplicate("missed_call_text")
        return Text.COOL_DOWN, None
    kind = KINDS[0] if is_open(plan, now) else KINDS[1]
    contact = Contact.objects.filter(org_id=call.org_id, phone=caller).values_list("pk", flat=True).first()
    values = {"clinic": plan.name}
    written = enqueue(
        org_id=call.org_id,
        kind=kind,
        recipient=caller,
        body=words_for(plan.key, kind, values),
        dedupe_key=f"missed-call:{call.call_sid}",
        expires_at=now + USEFUL_FOR,
        contact_id=contact,
        about=f"missed:{call.pk}",
        template_values=values,
    )
    if written.status == MessageState.QUEUED:
        return Text.QUEUED, written.message_id
    # Nothing went out, so nothing keeps the next call's text back.
    TextBack.objects.filter(pk=begun).delete()
    return (Text.SUPPRESSED if written.message_id else Text.NO_SENDER), written.message_id


def _kept_back(call: ActiveCall, caller: str) -> Text | None:
    if is_withheld(caller):
        return Text.WITHHELD
    if not is_mobile_possible(caller):
        return Text.LANDLINE
    if is_our_number(caller) or clinic_texted_at(caller) is not None:
        return Text.OUR_NUMBER
    if _booked_meanwhile(call, caller):
        return Text.BOOKED
    if _got_through_meanwhile(call, caller):
        return Text.GOT_THROUGH
    return None


def _got_through_meanwhile(call: ActiveCall, caller: str) -> bool:
    """Somebody took another call of this caller after this one rang, or the assistant spoke with them."""
    as_heard = {call.from_number, caller}
    others = ActiveCall.objects.filter(org_id=call.org_id, from_number__in=as_heard).exclude(pk=call.pk)
    taken = others.filter(outcome=ActiveCall.Outcome.ANSWERED, processed_at__gte=call.created_at)
    spoken = Q(started_at__isnull=False) | Q(status__in=(Call.Status.IN_PROGRESS, Call.Status.FORWARDING))
    # The agent's tools are used in a conversation, whatever word of it was lost.
    spoken |= Q(tool_invocations__isnull=False)
    with_assistant = Call.objects.filter(
        spoken, org_id=call.org_id, from_number__in=as_heard, created_at__gte=call.created_at
    )
    return taken.exists() or with_assistant.exists()


def _booked_meanwhile(call: ActiveCall, caller: str) -> bool:
    visits = Appointment.objects.filter(
        org_id=call.org_id, contact__phone=caller, created_at__gte=call.created_at, status__in=LIVE_STATES
    )
    return visits.exists()


def _begin_cool_down(call: ActiveCall, caller: str) -> UUID | None:
    """The row of the cool-down that begins with this call; None while an earlier one lasts."""
    values = {
        "id": new_id(),
        "org": call.org_id,
        "number": call.to_number,
        "caller": caller,
        "cool_down": COOL_DOWN,
    }
    row = MAY_TEXT.row(values)
    return row[0] if row else None
