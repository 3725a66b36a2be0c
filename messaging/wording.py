"""What a text says: a clinic's own template, else ours. Texts name clinic, date and time, never the service."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from uuid import UUID

from messaging.models import MessageTemplate
from messaging.states import MessageKind
from voxanne.tenancy.plan_cache import ClinicKey, PlanCache

DEFAULT_TEMPLATES: Mapping[MessageKind, str] = {
    MessageKind.CONFIRMATION: "{clinic}: you are booked for {date} at {time}. Code {code}. Reply STOP to opt out.",
    MessageKind.RESCHEDULED: "{clinic}: your visit is now on {date} at {time}. Code {code}. Reply STOP to opt out.",
    MessageKind.CANCELLED: "{clinic}: your visit on {date} at {time} is cancelled. Reply STOP to opt out.",
    MessageKind.MISSED_CALL: "{clinic}: sorry we missed your call. Reply here or call again. Reply STOP to opt out.",
}
FIELDS = frozenset({"clinic", "date", "time", "code", "link"})


class UnknownField(ValueError):
    """A template asks for something that is not filled in."""


def check_template(template: str) -> None:
    """Raises UnknownField for a field outside ``FIELDS``, ValueError for unbalanced braces."""
    for _, name, _, _ in Formatter().parse(template):
        if name is not None and name not in FIELDS:
            raise UnknownField(f"{{{name}}} is not filled in; use {', '.join(sorted(FIELDS))}.")


def _load_templates(org_id: UUID) -> dict[str, str]:
    return dict(MessageTemplate.objects.filter(org_id=org_id).values_list("kind", "body"))


_templates: PlanCache[dict[str, str]] = PlanCache(_load_templates)


def words_for(clinic: ClinicKey, kind: MessageKind, values: Mapping[str, str]) -> str:
    """The text of ``kind`` in the clinic's words, inside its scope."""
    template = _templates.get(clinic).get(kind.value) or DEFAULT_TEMPLATES[kind]
    return template.format_map({**dict.fromkeys(FIELDS, ""), **values})
