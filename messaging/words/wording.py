"""What a text says: a clinic's own template, else ours. Texts name clinic, date and time, never the service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter
from uuid import UUID

import structlog

from messaging.manners.keywords import STOP_WORDS
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
# What is known when a text of the kind is written; a reply has words of its own.
FIELDS_OF_KIND: Mapping[str, frozenset[str]] = {
    MessageKind.CONFIRMATION.value: FIELDS,
    MessageKind.RESCHEDULED.value: FIELDS,
    MessageKind.CANCELLED.value: FIELDS,
    MessageKind.REMINDER.value: FIELDS,
    MessageKind.MISSED_CALL.value: frozenset({"clinic"}),
    MessageKind.MISSED_CALL_AFTER_HOURS.value: frozenset({"clinic"}),
}
# Twilio takes 1,600 characters (error 21617); the fields need room too.
LONGEST_TEMPLATE = 1200
# Whoever answers with one of these opts out of every text (Twilio's default keywords): "reply CANCEL to cancel your
# visit" would silence the clinic. In capitals the word is an invitation wherever it stands.
SILENCING = sorted(STOP_WORDS - {"STOP"})
OPENS, CLOSES = r"[\"'“‘]?", r"[\"'”’]?"
ANY_SILENCING = f"(?i:{'|'.join(SILENCING)})"
ASKS = "(?i:reply|text|send|answer|respond|type)"
# STOP itself may be named for what it does, never for something else.
NOT_OF_TEXTS = r"\b(?!(?:\s+\w+){0,2}\s+(?i:text|message|sms|notification|reminder|alert))"
INVITATIONS = (
    re.compile(rf"\b({'|'.join(SILENCING)})\b"),
    re.compile(rf"\b{ASKS}\s+(?i:with\s+|back\s+|us\s+)?(?i:the\s+word\s+)?{OPENS}{ANY_SILENCING}\b"),
    re.compile(rf"\b{ASKS}\b[^.!?]*\b(?i:or)\s+{OPENS}{ANY_SILENCING}\b{CLOSES}\s+(?i:to|if|for)\b"),
    re.compile(
        rf"\b{ASKS}\b[^.!?]*\b(?i:stop)\b{CLOSES}\s+(?i:to|if|for)\s+(?:\w+\s+){{0,3}}?"
        rf"(?i:cancel|cannot|reschedul|move|chang|declin)\w*{NOT_OF_TEXTS}"
    ),
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
    if invites_silence(template):
        raise ValueError(
            "Whoever replies with that word gets no texts from the clinic any more; ask for another word."
        )


def invites_silence(words: str) -> bool:
    """Whether ``words`` ask for an answer that opts the reader out of every text."""
    return any(invitation.search(words) for invitation in INVITATIONS)


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
