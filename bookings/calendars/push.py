"""Keeps the providers' calendars in step with their visits: durable work, one row a visit.

A push makes the calendar agree with the appointment as it stands when the push is claimed, whatever changed
before: a live visit's event is there, a cancelled one's is gone. So running it twice changes nothing.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils import timezone

from bookings.calendars.google import client as google
from bookings.models import CalendarConnection, CalendarPush
from bookings.states import LIVE_STATES, PushState
from monitoring.breaker import CircuitOpen, Service, guarded
from voxanne.durable.hints import hint_on_commit
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import WorkKind, move
from voxanne.model_rows import columns_of, instance_of
from voxanne.statements import Statement
from voxanne.tenancy.ids import new_id
from voxanne.tenancy.scope import org_scope

CALENDAR_WORK = "calendar-push"
CALENDAR_QUEUE = "calendar"
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=5)
LEASE = timedelta(seconds=60)
# After a cool-down the waiting events do not all come in the same instant.
SPREAD_SECONDS = 5.0
FAILING = "Google has just been failing; the calendar is brought up to date by itself."

# No connection, no row. ``{visits}`` are the table, or a statement that is just entering one. A connection is found by
# its provider, which has one at most.
QUEUED_FOR = """
INSERT INTO calendar_pushes
    (id, org_id, appointment_id, state, attempts, next_attempt_at, last_error, event_id, calendar_id, created_at,
     updated_at)
SELECT %(push)s, a.org_id, a.id, 'queued', 0, now(), '', '', '', now(), now()
FROM {visits} a JOIN calendar_connections c ON c.provider_id = a.provider_id
"""
# A visit that changed while its event was being written is queued anew: the writer's claim no longer holds, so its
# settlement is ignored.
QUEUE_PUSH = Statement(f"""
{QUEUED_FOR.format(visits="appointments")}
WHERE a.id = %(appointment)s AND a.org_id = %(org)s
ON CONFLICT (appointment_id) DO UPDATE
    SET state = 'queued', attempts = 0, next_attempt_at = now(), claim_token = NULL, claimed_until = NULL,
        updated_at = now()
RETURNING id
""")  # noqa: S608  (the text of a statement of ours)

VISIT = Statement(
    f"""
SELECT a.status, a.starts_at, a.ends_at, s.name, o.slug, o.timezone, c.id, {columns_of(CalendarConnection, "c")}
FROM appointments a
JOIN services s ON s.id = a.service_id
JOIN organizations o ON o.id = a.org_id
LEFT JOIN calendar_connections c ON c.provider_id = a.provider_id
WHERE a.id = %(appointment)s AND a.org_id = %(org)s
""",  # noqa: S608  (column names of a model of ours)
    binary=True,
)


def queue_push(org_id: UUID, appointment_id: UUID) -> None:
    """Queues the visit's event in the caller's transaction, if its provider has a calendar connected."""
    row = QUEUE_PUSH.row({"push": new_id(), "org": org_id, "appointment": appointment_id})
    if row is not None:
        wake(org_id, row[0])


def wake(org_id: UUID, push_id: UUID) -> None:
    """Wakes a worker for a queued event when the current transaction commits."""
    hint_on_commit(CALENDAR_WORK, CALENDAR_QUEUE, org_id, push_id)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the claim's transaction found: the event as it should be, and the calendar it belongs on."""

    event: google.Event
    wanted: bool
    is_over: bool
    calendar: CalendarConnection | None


def prepare(push: CalendarPush) -> Prepared:
    row = VISIT.row({"appointment": push.appointment_id, "org": push.org_id})
    assert row is not None
    status, starts_at, ends_at, service, slug, zone_name, calendar_id, *calendar = row
    zone = ZoneInfo(zone_name)
    event = google.Event(
        id=push.appointment_id.hex,
        # Whoever may open the calendar reads this: the service, never the patient's name.
        summary=f"{service} (Voxanne)",
        starts_at=starts_at.astimezone(zone),
        ends_at=ends_at.astimezone(zone),
        time_zone=zone_name,
        private={"appointment": str(push.appointment_id), "clinic": slug},
    )
    connected = instance_of(CalendarConnection, calendar) if calendar_id else None
    return Prepared(event, status in LIVE_STATES, ends_at < timezone.now(), connected)


def push_event(push: CalendarPush, prepared: Prepared) -> Settlement:
    """Writes or removes the event at Google, outside any transaction."""
    if prepared.calendar is None:
        return Settlement(PushState.SKIPPED, uses_attempt=False)
    if prepared.calendar.state == CalendarConnection.State.NEEDS_REAUTH:
        return Settlement(PushState.DEAD, error="The calendar needs to be connected again.")
    session = google.Session(prepared.calendar)
    try:
        with guarded(Service.GOOGLE_CALENDAR_EVENTS, push.org_id, str(push.pk), _is_outage):
            if prepared.wanted:
                session.put(prepared.event)
            else:
                session.remove(prepared.event.id)
    except CircuitOpen as closed:
        wait = timedelta(seconds=closed.retry_after + random.uniform(0, SPREAD_SECONDS))  # noqa: S311  (spreads load)
        return Settlement(PushState.QUEUED, error=FAILING, wait=wait, uses_attempt=False)
    except google.CalendarFault as fault:
        return _after_fault(push, prepared, fault)
    finally:
        _keep_token(prepared.calendar, session)
    columns = {
        "event_id": prepared.event.id,
        "calendar_id": prepared.calendar.calendar_id,
        "pushed_at": timezone.now(),
    }
    return Settlement(PushState.DONE, columns=columns)


def _is_outage(error: Exception) -> bool:
    return isinstance(error, google.CalendarFault) and error.outage


def _after_fault(push: CalendarPush, prepared: Prepared, fault: google.CalendarFault) -> Settlement:
    if fault.needs_reauth and prepared.calendar is not None:
        _mark_broken(prepared.calendar, str(fault))
    if fault.permanent or fault.needs_reauth or prepared.is_over:
        return Settlement(PushState.DEAD, error=str(fault))
    wait = min(FIRST_WAIT * 2 ** min(push.attempts, 10), LONGEST_WAIT)
    return Settlement(PushState.QUEUED, error=str(fault), wait=wait)


def push_again(push: CalendarPush, settlement: Settlement) -> None:
    """The visit changed while its event was being written, and the late write may have landed last: once more.

    Where another worker is writing at this moment, the next write waits until that one has surely ended: begun
    at once, the two would overtake each other for ever.
    """
    at_once = Settlement(PushState.QUEUED, uses_attempt=False)
    settled = (PushState.DONE, PushState.DEAD, PushState.SKIPPED)
    if move(CalendarPush, push.org_id, push.pk, at_once, sources=settled):
        hint_on_commit(CALENDAR_WORK, CALENDAR_QUEUE, push.org_id, push.pk)
        return
    later = Settlement(PushState.QUEUED, uses_attempt=False, wait=LEASE)
    move(CalendarPush, push.org_id, push.pk, later, sources=(PushState.PUSHING,))


def _mark_broken(calendar: CalendarConnection, reason: str) -> None:
    with org_scope(calendar.org_id):
        CalendarConnection.objects.filter(pk=calendar.pk).update(
            state=CalendarConnection.State.NEEDS_REAUTH, state_since=timezone.now(), last_error=reason
        )


def _keep_token(calendar: CalendarConnection, session: google.Session) -> None:
    """Keeps a refreshed access token, so that the next push need not ask for one."""
    if session.access_token == calendar.access_token or not session.access_token:
        return
    with org_scope(calendar.org_id):
        calendar.access_token = session.access_token
        calendar.access_token_expires_at = session.expires_at
        calendar.save(update_fields=["access_token", "access_token_expires_at"])


CALENDAR_PUSH = WorkKind(
    name=CALENDAR_WORK,
    model=CalendarPush,
    prepare=prepare,
    perform=push_event,
    lease=LEASE,
    queue=CALENDAR_QUEUE,
    overtaken=push_again,
    gives_way=2.0,
    threads=4,
)
