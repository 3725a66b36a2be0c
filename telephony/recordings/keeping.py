"""Calls' recordings: fetched once each, kept as long as the clinic chose, then deleted for good.

Off unless the clinic turns it on. The file lies in Django's default storage under a name made of ids alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from tempfile import TemporaryFile
from uuid import UUID

import structlog
from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import DurationField, ExpressionWrapper, F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from monitoring.breaker import CircuitOpen, Service, guarded
from telephony.models import Assistant, CallSettings, PhoneNumber, Recording
from telephony.models.recordings import DEFAULT_DAYS
from telephony.recordings.states import RecordingState
from telephony.vapi import recording_source
from telephony.vapi.recording_source import CallAtVapi, Fetched, SourceFault
from telephony.vapi.reports import RecordingFacts
from voxanne.durable.hints import hint_on_commit
from voxanne.durable.settlement import Settlement
from voxanne.durable.work import WorkKind, move
from voxanne.tenancy.scope import org_scope, platform_scope

logger = structlog.get_logger(__name__)

RECORDING_WORK = "recording"
RECORDING_QUEUE = "maintenance"
LEASE = timedelta(minutes=6)
FIRST_WAIT = timedelta(seconds=15)
LONGEST_WAIT = timedelta(minutes=30)
# With these waits about two and a half hours.
MOST_ATTEMPTS = 10
ROWS_AT_A_TIME = 200
# A recording that waits must not outlive the days for which the clinic keeps it either.
GONE = {"source_url": "", "sha256": ""}
ENDING = (RecordingState.STORED, RecordingState.DEAD)


def queue_recording(org_id: UUID, call_id: UUID, source_url: str = "") -> bool:
    """Has the call's recording fetched, if the clinic keeps recordings. In the clinic's scope, in the transaction
    that learnt of it; told again, it changes nothing. True when this call queued it.

    ``source_url`` is the address in the call's report; one that is not Vapi's is never asked.
    """
    if not CallSettings.objects.filter(org_id=org_id, record_calls=True).exists():
        return False
    row = Recording(org_id=org_id, call_id=call_id, source_url=source_url[:4000])
    Recording.objects.bulk_create([row], ignore_conflicts=True)
    if not Recording.objects.filter(pk=row.pk).exists():
        return False
    hint_on_commit(RECORDING_WORK, RECORDING_QUEUE, org_id, row.pk)
    return True


def keep_what_is_reported(org_id: UUID, call_id: UUID, facts: RecordingFacts) -> None:
    """Hears of a recording in the transaction that learns of it."""
    queue_recording(org_id, call_id, facts.url)


@dataclass(frozen=True, slots=True)
class Prepared:
    call: CallAtVapi
    wanted: bool


def prepare(recording: Recording) -> Prepared:
    """Whether the clinic still keeps recordings: it may have thought better of it meanwhile."""
    wanted = CallSettings.objects.filter(org_id=recording.org_id, record_calls=True).exists()
    of_clinic = {"org_id": recording.org_id}
    assistants = Assistant.objects.filter(**of_clinic).values_list("vapi_assistant_id", flat=True)
    numbers = PhoneNumber.objects.filter(**of_clinic).exclude(vapi_phone_number_id=None)
    call = CallAtVapi(
        recording.call.vapi_call_id,
        frozenset(assistants),
        frozenset(str(number.vapi_phone_number_id) for number in numbers),
    )
    return Prepared(call, wanted)


def perform(recording: Recording, prepared: Prepared) -> Settlement:
    """Fetches the recording and keeps it."""
    if not prepared.wanted:
        return Settlement(RecordingState.DELETED, error="The clinic keeps no recordings.", columns=GONE)
    try:
        with TemporaryFile() as kept:
            with guarded(Service.VAPI_API, recording.org_id, str(recording.pk), _is_outage):
                found = recording_source.fetch(prepared.call, recording.source_url, kept)
            kept.seek(0)
            name = _store(recording, found, File(kept))
    except CircuitOpen as refusal:
        wait = timedelta(seconds=refusal.retry_after)
        return Settlement(RecordingState.QUEUED, error=str(refusal), uses_attempt=False, wait=wait)
    except SourceFault as fault:
        return _not_fetched(recording, str(fault), permanent=fault.permanent)
    # The storage's own faults: a full disk, a bucket that is away.
    except OSError as error:
        return _not_fetched(recording, f"It could not be stored ({type(error).__name__}).", permanent=False)
    columns = {
        "storage_name": name,
        "size": found.size,
        "content_type": found.content_type,
        "sha256": found.sha256,
        "source_url": "",
    }
    return Settlement(RecordingState.STORED, columns=columns)


def _is_outage(error: Exception) -> bool:
    return isinstance(error, SourceFault) and error.is_outage


def _not_fetched(recording: Recording, error: str, *, permanent: bool) -> Settlement:
    if permanent or recording.attempts + 1 >= MOST_ATTEMPTS:
        return Settlement(RecordingState.DEAD, error=error)
    wait = min(FIRST_WAIT * 2**recording.attempts, LONGEST_WAIT)
    return Settlement(RecordingState.QUEUED, error=error, wait=wait)


def _store(recording: Recording, found: Fetched, content: File[bytes]) -> str:
    """Under a name of the row's own: what an earlier try left there makes room."""
    name = f"recordings/{recording.org_id}/{recording.pk}{found.extension}"
    default_storage.delete(name)
    return str(default_storage.save(name, content))


def overtaken(recording: Recording, settlement: Settlement) -> None:
    """A try that came too late leaves no file behind, unless the row has come to name the same one."""
    name = settlement.columns.get("storage_name")
    if not name:
        return
    now = Recording.objects.filter(pk=recording.pk).values_list("state", "storage_name").first()
    waits = now is not None and now[0] in (RecordingState.QUEUED, RecordingState.FETCHING)
    if now is not None and (now[1] == name or waits):
        # Whoever has the row, or will have it, writes this name anew.
        return
    default_storage.delete(name)


def delete_recording(org_id: UUID, pk: UUID, reason: str) -> bool:
    """Deletes the recording; the row stays, and says that it was so. True when this call did it.

    Nobody hears it from now on; the file goes once that is committed. As long as the row names it, the daily
    clean-up comes by for it.
    """
    settlement = Settlement(RecordingState.DELETED, error=reason, uses_attempt=False, columns=GONE)
    sources = (RecordingState.STORED, RecordingState.DEAD, RecordingState.QUEUED)
    deleted = move(Recording, org_id, pk, settlement, sources=sources)
    if deleted:
        transaction.on_commit(lambda: remove_file(org_id, pk), robust=True)
    return deleted


def remove_file(org_id: UUID, pk: UUID) -> None:
    """Removes the file of a deleted recording, and its name from the row."""
    with org_scope(org_id):
        gone = Recording.objects.filter(pk=pk, state=RecordingState.DELETED).exclude(storage_name="")
        name = gone.values_list("storage_name", flat=True).first()
    if name is None:
        return
    try:
        default_storage.delete(name)
    except OSError as error:
        logger.warning("recording_file_not_removed", id=str(pk), reason=type(error).__name__)
        return
    with org_scope(org_id):
        Recording.objects.filter(pk=pk, storage_name=name).update(storage_name="")


def forget_old_recordings() -> int:
    """Deletes what has been kept for as long as its clinic chose, and files that were left; returns how many."""
    removed = 0
    for org_id, pk, state in _in_portions():
        if state == RecordingState.DELETED:
            remove_file(org_id, pk)
        else:
            removed += delete_recording(org_id, pk, "Kept for as long as the clinic chose.")
    return removed


def _in_portions() -> Iterator[tuple[UUID, UUID, str]]:
    """Each row once: a file that cannot be removed today is tried again tomorrow."""
    now, seen = timezone.now(), UUID(int=0)
    while True:
        with platform_scope("find recordings that have served their time"):
            rows = _served_their_time(now).filter(pk__gt=seen).order_by("pk")
            found = list(rows.values_list("org_id", "pk", "state")[:ROWS_AT_A_TIME])
        yield from found
        if len(found) < ROWS_AT_A_TIME:
            return
        seen = found[-1][1]


def _served_their_time(now: datetime) -> QuerySet[Recording]:
    chosen = CallSettings.objects.filter(org_id=OuterRef("org_id")).values("recording_days")[:1]
    day = Value(timedelta(days=1), output_field=DurationField())
    kept_for = ExpressionWrapper(Coalesce(Subquery(chosen), DEFAULT_DAYS) * day, output_field=DurationField())
    old = Q(state__in=ENDING, created_at__lt=Value(now) - F("kept_for"))
    left = Q(state=RecordingState.DELETED) & ~Q(storage_name="")
    return Recording.objects.annotate(kept_for=kept_for).filter(old | left)


RECORDING = WorkKind(
    name=RECORDING_WORK,
    model=Recording,
    prepare=prepare,
    perform=perform,
    lease=LEASE,
    queue=RECORDING_QUEUE,
    gives_way=2.0,
    threads=2,
    overtaken=overtaken,
)
