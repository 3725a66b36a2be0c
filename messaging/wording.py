"""What a text says: a clinic's own template, else ours. Texts name clinic, date and time, never the service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter
from uuid import UUID

import structlog

from messaging.keywords import STOP_WORDS
from messaging.models import MessageTemplate
from messaging.states import MessageKind
from voxanne.tenancy.plan_cache import ClinicKey, PlanCache

logger = structlog.get_logger(__name__)

DEFAULT_TEMPLATES: Mapping[MessageKind, str] = {
    MessageKind.CONFIRMATION: (
        "{clinic}: you are booked for {date} at {time}. Code {code}. {link} Reply STOP to opt out."
    ),
    MessageKind.RESCHEDULED: (
        "{clinic}: your visit is now on {date} at {time}. Code {code}. {link} Reply STOP to opt out."
    ),
    MessageKind.CANCELLED: "{clinic}: your visit on {date} at {time} is cancelled. Reply STOP to opt out.",
    MessageKind.MISSED_CALL: "{clinic}: sorry we missed your call. Reply here or call again. Reply STOP to opt out.",
    MessageKind.MISSED_CALL_AFTER_HOURS: (
        "{clinic}: sorry we missed your call, we are closed now. Reply here and we will answer when we open. "
        "Reply STOP to opt out."
    ),
    MessageKind.AUTO_REPLY: (
        "{clinic}: thank you for your text. We are closed now and will answer when we open. Reply STOP to opt out."
    ),
}
FIELDS = frozenset({"clinic", "date", "time", "code", "link"})
# Twilio takes 1,600 characters (error 21617); the fields need room too.
LONGEST_TEMPLATE = 1200
# Whoever answers with one of these opts out of every text (Twilio's default keywords): "reply CANCEL to cancel your
# visit" would silence the clinic. In capitals the word is an invitation wherever it stands.
SILENCING = sorted(STOP_WORDS - {"STOP"})
INVITATION = re.compile(
    rf"\b({'|'.join(SILENCING)})\b|\b(?i:reply|text|send|answer)\s+(?i:with\s+|back\s+)?"
    rf"[\"'“‘]?(?i:{'|'.join(SILENCING)})\b"
)


class UnknownField(ValueError):
    """A template asks for something that is not filled in."""


def check_template(template: str) -> None:
    """Raises UnknownField for a field outside ``FIELDS``, ValueError with one sentence for anything else that
    cannot be sent: unbalanced braces, a field with a format of its own, an invitation to opt out by mistake."""
    for _, name, form, conversion in Formatter().parse(template):
        if name is not None and name not in FIELDS:
            raise UnknownField(f"{{{name}}} is not filled in; use {', '.join(sorted(FIELDS))}.")
        if form or conversion:
            raise ValueError(f"Write {{{name}}} alone, with nothing after the name.")
    if len(template) > LONGEST_TEMPLATE:
        raise ValueError(f"A text may have {LONGEST_TEMPLATE} characters at most; shorten it.")
    if INVITATION.search(template):
        raise ValueError(
            "Whoever replies with that word gets no texts from the clinic any more; ask for another word."
        )


def _load_templates(org_id: UUID) -> dict[str, str]:
    rows = MessageTemplate.objects.filter(org_id=org_id).values_list("kind", "body")
    return {kind: body for kind, body in rows if _can_be_sent(kind, body)}


def _can_be_sent(kind: str, body: str) -> bool:
    """A template that slipped past its form must not keep a visit from being booked: ours is used."""
    try:
        check_template(body)
    except ValueError as error:
        logger.warning("template_not_used", kind=kind, reason=type(error).__name__)
        return False
    return bool(body.strip())


_templates: PlanCache[dict[str, str]] = PlanCache(_load_templates)


def words_for(clinic: ClinicKey, kind: MessageKind, values: Mapping[str, str]) -> str:
    """The text of ``kind`` in the clinic's words, inside its scope."""
    template = _templates.get(clinic).get(kind.value) or DEFAULT_TEMPLATES[kind]
    return template.format_map({**dict.fromkeys(FIELDS, ""), **values})
