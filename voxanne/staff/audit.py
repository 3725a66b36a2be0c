"""The audit trail of staff pages: one line for each act that matters, kept with the clinic's own rows.

Django's own log is not used for clinic rows: it belongs to no clinic, and it keeps rows' names.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from voxanne.staff.people import person
from voxanne.tenancy.models import AuditEntry, Organization


def subject_of(row: Model) -> str:
    """Table and id of the row, as the trail names it."""
    return f"{row._meta.db_table}:{row.pk}"


def clinic_of(row: Model) -> UUID:
    """The clinic a row belongs to; a clinic belongs to itself."""
    org_id: UUID = row.pk if isinstance(row, Organization) else row.org_id  # type: ignore[attr-defined]
    return org_id


def record_act(request: HttpRequest, row: Model, act: str, reason: str = "") -> None:
    """Writes "``act`` was done to ``row``, because ``reason``" in the signed-in person's name.

    ``act`` is ``kind.verb``, such as ``message.redrive``.
    """
    AuditEntry.objects.create(
        org_id=clinic_of(row), actor=person(request), action=act, subject=subject_of(row), reason=reason
    )


def record_change(request: HttpRequest, row: Model, verb: str, message: Any = "") -> None:
    """The same for a form that was saved; ``message`` is Django's list of what changed: names of fields, no values."""
    told = (
        message
        if isinstance(message, str)
        else LogEntry(change_message=json.dumps(message)).get_change_message()
    )
    record_act(request, row, f"{row._meta.model_name}.{verb}", told)


def acts_on(row: Model) -> QuerySet[AuditEntry]:
    """What was done to the row, newest first."""
    entries = AuditEntry.objects.filter(org_id=clinic_of(row), subject=subject_of(row))
    lines: QuerySet[AuditEntry] = entries.select_related("actor").order_by("-created_at")
    return lines
