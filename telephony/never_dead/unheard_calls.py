"""Calls that rang while the database was away: written down beside it, and taken on record when it is back.

One small encrypted file a call under ``VOXANNE_DATA_DIR/without-database/calls``. Once on record, a call is looked up
at Twilio like any other whose outcome nobody told us, so that whoever was missed meanwhile gets the text all the same.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from bookings.plan import clinic_plan
from telephony.missed_calls.lines import clinic_dialled_at, line_of
from telephony.missed_calls.settling import Incoming, note_call
from telephony.models import ActiveCall
from telephony.never_dead.whole_files import write_whole
from voxanne.encryption import UnreadableCredential, decrypt, encrypt
from voxanne.tenancy.scope import org_scope

logger = structlog.get_logger(__name__)

FOLDER = "without-database/calls"
SUFFIX = ".call"
# Nobody is texted about a call of longer ago, so there is nothing to take on record.
USEFUL_FOR = timedelta(hours=2)
MOST_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Unheard:
    """A call whose request was rightly signed, and when it rang (ISO 8601)."""

    call_sid: str
    caller: str
    dialled: str
    rang_at: str


def folder() -> Path:
    return Path(settings.DATA_DIR) / FOLDER


def write_down(call: Incoming) -> None:
    """Keeps the call for later; only the first word about it counts. A folder that cannot be written to is a matter
    for the log: the caller must be answered."""
    if not call.call_sid:
        return
    path = folder() / f"{hashlib.sha256(call.call_sid.encode()).hexdigest()[:40]}{SUFFIX}"
    unheard = Unheard(call.call_sid, call.caller, call.dialled, timezone.now().isoformat())
    try:
        if not path.exists():
            write_whole(path, encrypt(json.dumps(asdict(unheard))))
    except OSError as error:
        logger.warning("unheard_call_not_written_down", reason=type(error).__name__)


def take_in() -> int:
    """Takes the calls written down on record; returns how many. What cannot be read, or came to nobody, goes; what the
    database does not take stays for the next time."""
    taken = 0
    for path in sorted(folder().glob(f"*{SUFFIX}"))[:MOST_AT_ONCE]:
        unheard = _read(path)
        try:
            taken += unheard is not None and _on_record(unheard)
        except DatabaseError as error:
            logger.warning("unheard_call_not_taken_in", reason=type(error).__name__)
            break
        path.unlink(missing_ok=True)
    return taken


def _on_record(unheard: Unheard) -> bool:
    rang_at = datetime.fromisoformat(unheard.rang_at)
    clinic = clinic_dialled_at(unheard.dialled)
    if clinic is None or rang_at < timezone.now() - USEFUL_FOR:
        return False
    with org_scope(clinic.org_id):
        line = line_of(clinic.org_id, unheard.dialled, clinic_plan(clinic).country)
        # While the database was away, nobody but the clinic's line was rung.
        incoming = Incoming(unheard.call_sid, unheard.caller, unheard.dialled)
        call = note_call(clinic.org_id, line, incoming, ActiveCall.Stage.CLINIC.value)
        if call is None or call.processed:
            return False
        ActiveCall.objects.filter(pk=call.pk, created_at__gt=rang_at).update(created_at=rang_at)
    return True


def _read(path: Path) -> Unheard | None:
    try:
        return Unheard(**json.loads(decrypt(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError, UnreadableCredential):
        return None
