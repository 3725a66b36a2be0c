"""One row of every kind for a clinic, each carrying the clinic's mark, so that a page that shows any is found out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time, timedelta
from typing import Any

from django.db.models import Model
from django.utils import timezone

from bookings.models import Appointment, BusyBlock, CalendarConnection, CalendarPush, Closure
from messaging.conversation.models import Conversation, ReplySettings
from messaging.models import (
    BulkAct,
    Contact,
    DeadLetter,
    DeliveryAttempt,
    InboundMessage,
    Message,
    MessageTemplate,
    MessagingPolicy,
    OptOut,
    StaffTask,
    WhatsAppTemplate,
)
from telephony.models import (
    ActiveCall,
    ApiIdempotencyKey,
    Call,
    CallCommand,
    CallEvent,
    CallSettings,
    FireDrill,
    Recording,
    TextBack,
    ToolInvocation,
    ToolRegistration,
    TransferDestination,
    WebhookDelivery,
)
from telephony.webhooks.payloads import packed
from tests.clinics import Clinic
from voxanne.tenancy.ids import new_id
from voxanne.tenancy.models import AuditEntry, Membership
from voxanne.tenancy.scope import platform_scope


@dataclass
class Furnished:
    """A clinic with a row of every kind; ``mark`` stands in every text of every one of them."""

    clinic: Clinic
    mark: str
    rows: list[Model] = field(default_factory=list)

    def one(self, kind: type[Model]) -> Any:
        """Its row of this kind."""
        return next(row for row in self.rows if type(row) is kind)


def furnish(clinic: Clinic) -> Furnished:
    """Gives the clinic a row of every kind, and marks what it has already."""
    mark = f"mark-of-{clinic.org.slug}"
    furnished = Furnished(clinic, mark)
    with platform_scope("test data"):
        furnished.rows += _mark_what_there_is(clinic, mark)
        furnished.rows += _bookings(clinic, mark)
        furnished.rows += _messages(furnished)
        furnished.rows += _calls(clinic, mark)
        furnished.rows.append(
            AuditEntry.objects.create(org=clinic.org, action="test", subject=f"row {mark}", reason=mark)
        )
    return furnished


def _mark_what_there_is(clinic: Clinic, mark: str) -> list[Model]:
    org, service, provider = clinic.org, clinic.service, clinic.providers[0]
    sender, number = org.senderaccount_set.get(), org.phonenumber_set.get()
    assistant, credential = org.assistant_set.get(), org.vapicredential_set.get()
    for row, column in (
        (org, "name"),
        (service, "name"),
        (provider, "name"),
        (sender, "paused_reason"),
        (number, "label"),
        (assistant, "name"),
        (credential, "label"),
    ):
        setattr(row, column, mark)
        row.save(update_fields=[column])
    people = list(Membership.objects.filter(org=org).select_related("user"))
    for person in people:
        person.user.last_name = mark
        person.user.save(update_fields=["last_name"])
    hours, offer = provider.hours.all()[0], provider.offers.all()[0]
    return [
        org,
        service,
        provider,
        sender,
        number,
        assistant,
        credential,
        people[0],
        people[0].user,
        hours,
        offer,
    ]


def _bookings(clinic: Clinic, mark: str) -> list[Model]:
    org, provider, service = clinic.org, clinic.providers[0], clinic.service
    contact = Contact.objects.create(org=org, phone=f"+1415555{clinic.number[-4:]}", name=mark)
    starts = timezone.now() + timedelta(days=3)
    visit = Appointment.objects.create(
        org=org,
        provider=provider,
        service=service,
        contact=contact,
        patient_name=mark,
        starts_at=starts,
        ends_at=starts + timedelta(minutes=30),
        blocked_from=starts,
        blocked_until=starts + timedelta(minutes=30),
        source="staff",
        confirmation_code="BCGHJK",
        notes=mark,
    )
    return [
        contact,
        visit,
        Closure.objects.create(org=org, starts_at=starts, ends_at=starts + timedelta(days=1), reason=mark),
        CalendarConnection.objects.create(
            org=org, provider=provider, calendar_id=mark, refresh_token=f"token-{mark}"
        ),
        BusyBlock.objects.create(
            org=org,
            provider=provider,
            external_id=mark,
            starts_at=starts,
            ends_at=starts + timedelta(hours=1),
        ),
        CalendarPush.objects.create(org=org, appointment=visit, state="dead", last_error=mark),
    ]


def _messages(furnished: Furnished) -> list[Model]:
    org, mark = furnished.clinic.org, furnished.mark
    contact, visit = furnished.one(Contact), furnished.one(Appointment)
    message = dead_letter(furnished, contact=contact, about=f"appointment:{visit.pk}")
    return [
        message,
        DeadLetter.objects.get(pk=message.pk),
        BulkAct.objects.create(
            org=org, act="redrive", state="stopped", reason=mark, asked_key=new_id(), chosen=[message.pk]
        ),
        DeliveryAttempt.objects.create(org=org, message=message, started_at=timezone.now(), error=mark),
        InboundMessage.objects.create(
            org=org,
            contact=contact,
            provider_sid=f"SM-{mark}",
            sender=contact.phone,
            recipient="+14155570100",
            body=mark,
        ),
        Conversation.objects.create(
            org=org,
            number=contact.phone,
            newest_at=timezone.now(),
            waiting_since=timezone.now(),
            unread=1,
        ),
        ReplySettings.objects.create(org=org),
        OptOut.objects.create(org=org, sender="+14155570100", recipient=contact.phone, source=mark),
        MessageTemplate.objects.create(org=org, kind="reminder", body=mark),
        WhatsAppTemplate.objects.create(org=org, kind="reminder", content_sid=mark, variables=[mark]),
        MessagingPolicy.objects.create(org=org, monthly_segments=1000),
        StaffTask.objects.create(
            org=org,
            kind="caller_message",
            text=mark,
            from_number=contact.phone,
            contact=contact,
            dedupe_key=mark,
        ),
    ]


def dead_letter(furnished: Furnished, **changes: Any) -> Message:
    """A text of the clinic that was given up. In a scope."""
    values: dict[str, Any] = {
        "org": furnished.clinic.org,
        "kind": "confirmation",
        "state": "dead_letter",
        "dedupe_key": f"key-{new_id()}",
        "recipient": "+14155550142",
        "body": furnished.mark,
        "expires_at": timezone.now() + timedelta(days=2),
        "attempts": 6,
        "last_error": furnished.mark,
        "error_code": 30003,
        "dead_lettered_at": timezone.now(),
    }
    return Message.objects.create(**{**values, **changes})


def _calls(clinic: Clinic, mark: str) -> list[Model]:
    org = clinic.org
    call = Call.objects.create(
        org=org,
        vapi_call_id=f"call-{mark}",
        from_number="+14155550177",
        summary=mark,
        transcript=mark,
        status="ended",
        ended_reason=mark,
        control_url=f"https://control.vapi.ai/{mark}",
    )
    return [
        call,
        ToolInvocation.objects.create(org=org, call=call, tool_call_id=mark, tool=mark, answer={"say": mark}),
        CallCommand.objects.create(org=org, call=call, body={"type": mark}, last_error=mark),
        ToolRegistration.objects.create(
            org=org, name=mark, vapi_tool_id=mark, schema_digest=mark, synced_at=timezone.now()
        ),
        *_missed_calls(clinic, mark),
        CallEvent.objects.create(
            org=org, call=call, event_id=mark, kind="hang", at=timezone.now(), text=mark
        ),
        WebhookDelivery.objects.create(
            org=org,
            provider="vapi",
            event_id=mark,
            event_type=mark,
            state="dead_letter",
            payload=packed({"type": "status-update", "status": "ended"}),
            last_error=mark,
        ),
        ApiIdempotencyKey.objects.create(
            org=org, caller=mark, key=mark, request=mark, status=422, answer={"error": {"code": mark}}
        ),
        CallSettings.objects.create(org=org),
        Recording.objects.create(
            org=org,
            call=call,
            state="dead",
            source_url=f"https://storage.vapi.ai/{mark}",
            last_error=mark,
        ),
        TransferDestination.objects.create(
            org=org, department="billing", number="+14155550188", weekdays=[0], opens=time(9), closes=time(17)
        ),
    ]


def _missed_calls(clinic: Clinic, mark: str) -> list[Model]:
    org, now = clinic.org, timezone.now()
    number = org.phonenumber_set.get()
    return [
        ActiveCall.objects.create(
            org=org,
            call_sid=mark,
            number=number,
            from_number="+14155550177",
            to_number=number.number,
            mode=number.mode,
            stage="clinic",
            dialled_at=now,
        ),
        TextBack.objects.create(org=org, number=number.number, caller="+14155550177", texted_at=now),
        FireDrill.objects.create(
            org=org,
            number=number,
            state="done",
            verdict="fail",
            checks=[{"name": mark, "verdict": "fail", "said": mark}],
        ),
    ]
