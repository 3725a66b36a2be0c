"""What our own tables say of a clinic at Vapi: its secret, assistants, lines and registered tools.

Read and written in short transactions, so that nothing is kept open while Vapi is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from telephony.models import Assistant, PhoneNumber, ToolRegistration, VapiCredential
from voxanne.tenancy.models import Organization
from voxanne.tenancy.scope import org_scope, platform_scope


@dataclass(frozen=True, slots=True)
class Presented:
    """How Vapi is to identify itself to us: by a credential it keeps, else by a header with the secret."""

    secret: str
    credential_id: str = ""
    is_platforms: bool = False


@dataclass(frozen=True, slots=True)
class OurAssistant:
    pk: UUID
    vapi_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Line:
    """A number that patients dial; ``vapi_id`` is blank where Vapi does not have it."""

    number: str
    forward_to: str
    vapi_id: str
    needs_assistant: bool


@dataclass(frozen=True, slots=True)
class Registered:
    """A tool as it was last registered; ``vapi_assistant_id`` is the assistant it was linked to."""

    vapi_id: str
    vapi_assistant_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class OurSide:
    """One clinic, as of one moment."""

    org_id: UUID
    slug: str
    name: str
    presented: Presented
    assistants: tuple[OurAssistant, ...]
    lines: tuple[Line, ...]
    registered: Mapping[str, Registered]

    @property
    def needs_assistant(self) -> bool:
        return bool(self.assistants) or any(line.needs_assistant for line in self.lines)


def our_side(org_id: UUID) -> OurSide:
    with org_scope(org_id):
        clinic = Organization.objects.get(pk=org_id)
        assistants = Assistant.objects.filter(org_id=org_id).order_by("created_at")
        numbers = PhoneNumber.objects.filter(org_id=org_id).order_by("created_at")
        registrations = ToolRegistration.objects.filter(org_id=org_id)
        return OurSide(
            org_id=org_id,
            slug=clinic.slug,
            name=clinic.name,
            presented=_presented(org_id),
            assistants=tuple(OurAssistant(row.pk, row.vapi_assistant_id, row.name) for row in assistants),
            lines=tuple(_line(row) for row in numbers),
            registered={
                row.name: Registered(row.vapi_tool_id, row.vapi_assistant_id, row.schema_digest)
                for row in registrations
            },
        )


def _presented(org_id: UUID) -> Presented:
    """The newest live secret: while one is being replaced, the new one goes to Vapi and the old one still opens."""
    newest = VapiCredential.objects.filter(org_id=org_id, active=True).order_by("-created_at").first()
    if newest is None:
        return Presented(settings.VAPI_WEBHOOK_SECRET, is_platforms=True)
    return Presented(newest.secret, newest.vapi_credential_id)


def _line(row: PhoneNumber) -> Line:
    return Line(
        number=row.number,
        forward_to=row.forward_to,
        vapi_id=row.vapi_phone_number_id or "",
        needs_assistant=row.mode != PhoneNumber.Mode.FORWARD,
    )


def owners_of_tools() -> dict[str, UUID]:
    """Which clinic each registered tool id at Vapi belongs to."""
    with platform_scope("whose tools at Vapi are whose"):
        return dict(ToolRegistration.objects.values_list("vapi_tool_id", "org_id"))


def owners_of_assistants() -> dict[str, UUID]:
    """Which clinic each assistant id at Vapi belongs to."""
    with platform_scope("whose assistants at Vapi are whose"):
        return dict(Assistant.objects.values_list("vapi_assistant_id", "org_id"))


def remember_tools(org_id: UUID, tools: Mapping[str, Registered], at: datetime | None = None) -> None:
    """These registrations and no others; rows that say the same already are left as they are."""
    with org_scope(org_id):
        rows = {row.name: row for row in ToolRegistration.objects.filter(org_id=org_id).select_for_update()}
        _forget([row for name, row in rows.items() if name not in tools])
        # Ids that change hands between names would meet on their unique key: the old rows go first.
        changed = {name: tool for name, tool in tools.items() if not _says(rows.get(name), tool)}
        _forget([rows[name] for name in changed if name in rows])
        ToolRegistration.objects.bulk_create(
            ToolRegistration(
                org_id=org_id,
                name=name,
                vapi_tool_id=tool.vapi_id,
                vapi_assistant_id=tool.vapi_assistant_id,
                schema_digest=tool.digest,
                synced_at=at or timezone.now(),
            )
            for name, tool in changed.items()
        )


def _forget(rows: Sequence[ToolRegistration]) -> None:
    ToolRegistration.objects.filter(pk__in=[row.pk for row in rows]).delete()


def _says(row: ToolRegistration | None, tool: Registered) -> bool:
    return row is not None and tool == Registered(row.vapi_tool_id, row.vapi_assistant_id, row.schema_digest)


def note_synced(org_id: UUID) -> None:
    """All of the clinic's tools were found, or made, as they should be just now."""
    with org_scope(org_id):
        ToolRegistration.objects.filter(org_id=org_id).update(synced_at=timezone.now())


def remember_assistant(org_id: UUID, known: OurAssistant | None, vapi_id: str, name: str) -> None:
    """The assistant's id at Vapi: of a row that named a lost one, or of a new row."""
    with org_scope(org_id):
        if known is None:
            Assistant.objects.create(org_id=org_id, vapi_assistant_id=vapi_id, name=name)
        else:
            Assistant.objects.filter(pk=known.pk).update(vapi_assistant_id=vapi_id)
