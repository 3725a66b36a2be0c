"""What may be said by WhatsApp at the moment of sending.

Meta takes free words only within 24 hours of the person's last message; at other times only a template that it
approved, known to Twilio by its Content SID, with the places {{1}}, {{2}} and so on filled in.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from messaging.channels import window_since
from messaging.models import Message, WhatsAppTemplate
from messaging.providers.answers import Content
from messaging.words.wording import FIELDS, FIELDS_OF_KIND
from voxanne.statements import Statement
from voxanne.tenancy.plan_cache import ClinicKey, PlanCache

CONTENT_SID = re.compile(r"HX[0-9a-fA-F]{32}")

STANDING = Statement("""
SELECT s.whatsapp_on AND s.whatsapp_paused_reason = '' AND 'whatsapp:' || s.whatsapp_number = %(sender)s,
       EXISTS (SELECT FROM inbound_messages i
               WHERE i.org_id = s.org_id AND i.sender = %(recipient)s AND i.recipient = s.whatsapp_number
                 AND i.channel = 'whatsapp' AND i.created_at > %(window_since)s)
FROM sender_accounts s WHERE s.org_id = %(org)s
""")


@dataclass(frozen=True, slots=True)
class Template:
    """An approved template, and the fields that fill its places, in their order."""

    content_sid: str
    variables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """What goes out now: the message's own words, or ``content`` in their place."""

    content: Content | None


OWN_WORDS = Words(None)


def check_template(kind: str, content_sid: str, variables: list[str]) -> None:
    """Raises ValueError with one sentence for what WhatsApp or Twilio would refuse."""
    if not CONTENT_SID.fullmatch(content_sid):
        raise ValueError(
            "A Content SID is HX and 32 digits or letters a to f, as Twilio's Content page shows it."
        )
    unknown = [name for name in variables if name not in FIELDS]
    if unknown:
        raise ValueError(f'"{unknown[0]}" is not filled in; use {", ".join(sorted(FIELDS))}.')
    blank = [name for name in variables if name not in FIELDS_OF_KIND.get(kind, frozenset())]
    if blank:
        raise ValueError(
            f'"{blank[0]}" is not known for this kind of text, and WhatsApp takes no empty place.'
        )


def _load_templates(org_id: UUID) -> dict[str, Template]:
    rows = WhatsAppTemplate.objects.filter(org_id=org_id)
    return {row.kind: Template(row.content_sid, tuple(row.variables)) for row in rows}


_templates: PlanCache[dict[str, Template]] = PlanCache(_load_templates)


def words_now(message: Message, clinic: ClinicKey, now: datetime) -> Words | None:
    """What may be said by WhatsApp at ``now``; None when nothing may. Inside the clinic's scope."""
    asked = {
        "org": message.org_id, "sender": message.sender, "recipient": message.recipient,
        "window_since": window_since(now),
    }  # fmt: skip
    may_send, window_is_open = STANDING.row(asked) or (False, False)
    if not may_send:
        return None
    if window_is_open:
        return OWN_WORDS
    template = _templates.get(clinic).get(message.kind)
    content = None if template is None else filled(template, message.template_values or {})
    return None if content is None else Words(content)


def filled(template: Template, values: dict[str, Any]) -> Content | None:
    """The template with its places filled; None where one would stay empty. Line breaks and runs of spaces, which
    WhatsApp refuses in a place, become one space."""
    places = [" ".join(str(values.get(name, "")).split()) for name in template.variables]
    if not all(places):
        return None
    numbered = {str(number): place for number, place in enumerate(places, start=1)}
    return Content(template.content_sid, json.dumps(numbered, ensure_ascii=False) if numbered else "")
