"""What is kept of every number outside the database is brought up to date: when it changes, and time and again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from django.db import DatabaseError, transaction
from django.db.models.signals import post_delete, post_save

from messaging.models import SenderAccount
from messaging.senders import account_of
from telephony.missed_calls.lines import Line, line_from
from telephony.models import Assistant, PhoneNumber, VapiCredential
from telephony.never_dead import last_known
from telephony.never_dead.last_known import LastKnown
from voxanne.encryption import UnreadableCredential
from voxanne.tenancy.models import Organization
from voxanne.tenancy.scope import org_scope, platform_scope

logger = structlog.get_logger(__name__)

# What an entry is made of.
SOURCES = (PhoneNumber, SenderAccount, VapiCredential, Assistant)
CLINICS_AT_A_TIME = 200


def entries_of(org_id: UUID) -> list[LastKnown]:
    """What is to be kept of the clinic's numbers, as the database has it. Inside the clinic's scope.

    Assistants and secrets belong to the clinic: its first number answers for the assistants.
    """
    country = Organization.objects.values_list("country", flat=True).get(pk=org_id)
    account = account_of(SenderAccount.objects.filter(org_id=org_id).first())
    secrets = tuple(row.secret for row in VapiCredential.objects.filter(org_id=org_id, active=True))
    assistants = tuple(
        Assistant.objects.filter(org_id=org_id)
        .order_by("created_at")
        .values_list("vapi_assistant_id", flat=True)
    )
    numbers = PhoneNumber.objects.filter(org_id=org_id).order_by("created_at")
    return [
        LastKnown(
            number=row.number,
            line=line_from(row, country).clinic_line,
            ring_seconds=row.ring_seconds,
            account_sid=account.sid,
            auth_token=account.auth_token,
            vapi_secrets=secrets,
            vapi_ids=_ids(row, () if index else assistants),
        )
        for index, row in enumerate(numbers)
    ]


def _ids(row: PhoneNumber, assistants: tuple[str, ...]) -> tuple[str, ...]:
    return (*([row.vapi_phone_number_id] if row.vapi_phone_number_id else ()), *assistants)


def refresh_clinic(org_id: UUID) -> None:
    """Keeps what the database says of the clinic's numbers now. Never raises: the change itself has been made."""
    try:
        with org_scope(org_id):
            entries = entries_of(org_id)
    except (DatabaseError, Organization.DoesNotExist, UnreadableCredential) as error:
        logger.warning("last_known_lines_not_refreshed", reason=type(error).__name__)
        return
    for entry in entries:
        last_known.keep(entry)


def refresh_all() -> int:
    """The same for every active clinic; forgets numbers that are nobody's any more. Returns how many numbers."""
    kept, all_read = [], True
    for org_id in _active_clinics():
        try:
            kept += _entries_in_scope(org_id)
        except UnreadableCredential:
            logger.error("credential_unreadable", org_id=str(org_id))
            all_read = False
    for entry in kept:
        last_known.keep(entry)
    # A database that knows nobody is more likely broken than true: what is kept is all that is left then. So is what is
    # kept of a clinic whose credential cannot be read.
    if kept and all_read:
        last_known.forget_all_but(kept)
    return len(kept)


def _entries_in_scope(org_id: UUID) -> list[LastKnown]:
    with org_scope(org_id):
        return entries_of(org_id)


def _active_clinics() -> Iterator[UUID]:
    with platform_scope("keep the last-known lines"):
        clinics = list(Organization.objects.filter(active=True).values_list("pk", flat=True))
    yield from clinics


def refresh_where_it_changed(line: Line, org_id: UUID) -> None:
    """After a call was answered from the database: where what is kept says otherwise, it is put right.

    Wherever calls are answered, the folder is thus filled, also where no worker shares it.
    """
    known = last_known.of_number(line.number)
    if known is None or known.line != line.clinic_line:
        refresh_clinic(org_id)


def watch_changes() -> None:
    """Changes made through the models are kept as soon as they are committed; others wait for the next round."""
    for model in SOURCES:
        for signal in (post_save, post_delete):
            signal.connect(_changed, sender=model, dispatch_uid=f"last-known:{model.__name__}:{id(signal)}")


def _changed(instance: Any, raw: bool = False, **_: Any) -> None:
    if not raw:
        transaction.on_commit(partial(refresh_clinic, instance.org_id), robust=True)
