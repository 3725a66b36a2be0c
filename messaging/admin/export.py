"""Undelivered texts as a file for a spreadsheet: masked as the list is, sent in pieces, harmless to open."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.admin.views.main import SEARCH_VAR
from django.http import HttpRequest
from django.utils import timezone

from messaging.admin.reasons import reason
from messaging.models import Message
from messaging.undelivered.redrive_chances import WORDS, chance_of
from monitoring.masking import mask_phone, mask_text
from voxanne.staff.people import person
from voxanne.tenancy.models import AuditEntry
from voxanne.tenancy.scope import Scope, org_scope, platform_scope

MOST_EXPORTED = 100_000
ROWS_AT_A_TIME = 500
LONGEST_FILTER = 500
# What a spreadsheet takes for the beginning of a formula.
FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n")
COLUMNS = (
    "Text", "Clinic", "Kind", "To", "Reason", "Code", "Attempts", "Written", "Given up", "Useful until",
    "Sending again",
)  # fmt: skip


def record_export(request: HttpRequest, numbers: Mapping[UUID, int]) -> None:
    """Writes into each clinic's audit trail that the signed-in person took so many of its texts, by which filters. What
    was searched for may name a patient and is left out."""
    filters = request.GET.copy()
    searched = bool(filters.pop(SEARCH_VAR, None))
    told = (["a search"] if searched else []) + [f"{name}={value}" for name, value in filters.items()]
    by = "; ".join(told)[:LONGEST_FILTER] or "none"
    AuditEntry.objects.bulk_create(
        AuditEntry(
            org_id=org_id,
            actor=person(request),
            action="messages.export",
            subject=Message._meta.db_table,
            reason=f"{number:,} undelivered texts. Filters: {by}.",
        )
        for org_id, number in numbers.items()
    )


class _Line:
    """What a CSV writer writes to: each line is handed on as it comes."""

    def write(self, line: str) -> str:
        return line


def csv_lines(scope: Scope, pks: Sequence[UUID]) -> Iterator[str]:
    """The file, a line at a time. It is read while the answer is being sent, when the request's own scope is over: so
    each piece opens ``scope`` anew, and no transaction is kept open for a slow reader."""
    writer = csv.writer(_Line())
    yield "\ufeff" + writer.writerow(COLUMNS)
    for start in range(0, len(pks), ROWS_AT_A_TIME):
        for row in _rows(scope, pks[start : start + ROWS_AT_A_TIME]):
            yield writer.writerow([harmless(cell) for cell in row])


def _rows(scope: Scope, pks: Sequence[UUID]) -> list[list[str]]:
    reopened = (
        platform_scope("export of undelivered texts") if scope.is_platform else org_scope(*scope.org_ids)
    )
    with reopened:
        found = {row.pk: row for row in Message.objects.filter(pk__in=pks).select_related("org")}
        now = timezone.now()
        return [_row(found[pk], now) for pk in pks if pk in found]


def _row(message: Message, now: datetime) -> list[str]:
    return [
        str(message.pk), message.org.name, message.get_kind_display(), mask_phone(message.recipient),
        mask_text(reason(message)), "" if message.error_code is None else str(message.error_code),
        str(message.attempts), _told(message, message.created_at), _told(message, message.dead_lettered_at),
        _told(message, message.expires_at), WORDS[chance_of(message, now)],
    ]  # fmt: skip


def _told(message: Message, at: datetime | None) -> str:
    """On the clinic's clock, with its offset."""
    return at.astimezone(message.org.zone).isoformat(sep=" ", timespec="minutes") if at else ""


def harmless(cell: Any) -> str:
    """The cell as text that no spreadsheet runs: an apostrophe stands before what would begin a formula."""
    text = str(cell)
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_BEGINS) else text
