"""What is kept of a try's request and of the provider's answer: enough to argue with the provider, nothing to read.

No words of the text and no whole number. Of what a provider says in free words nothing is kept: it may quote the text,
a name or a number in it, in any spelling, and no comparison finds them all. Its code says the same, and the try's own
``error`` tells it in our words (``messaging/providers/twilio/codes.py``).

The copies stand on the try's own row, cost no statement of their own, and go when the try goes: 30 days after its
message was settled, 90 for a dead letter (``messaging/retention.py``).
"""

from __future__ import annotations

import json
import re
from typing import Any

from django.utils import timezone

from messaging.manners import rehearsal
from messaging.models import Message
from messaging.providers.answers import Answer
from monitoring.masking import mask_phone

NUMBER = re.compile(r"\+?\d{7,15}|[a-z]+:\+?\d{7,15}")


def copy_of_request(message: Message) -> str:
    """What the provider is asked for this message now, as JSON."""
    validity = (message.expires_at - timezone.now()).total_seconds()
    kept: dict[str, Any] = {
        "to": mask_phone(rehearsal.destination(message.recipient)),
        "by": message.channel,
        "from": _masked_sender(message.sender),
        "characters": len(message.body),
        "segments": message.segments,
        "encoding": message.encoding,
        "validSeconds": max(0, int(validity)),
    }
    if rehearsal.is_on():
        kept["redirected"] = True
    return json.dumps(kept)


def copy_of_answer(answer: Answer) -> str | None:
    """What the provider answered, as JSON; None where nothing came back."""
    kept = {
        "http": answer.http_status,
        "code": answer.error_code,
        "sid": answer.sid or None,
        "status": answer.status or None,
        "retryAfter": answer.retry_after,
    }
    known = {name: value for name, value in kept.items() if value is not None}
    return json.dumps(known) if known else None


def copy_of_later_word(status: str, code: int | None) -> str:
    """What a receipt, or the provider's list, said of the text later, as JSON to add to the answer."""
    return json.dumps({"then": status, "thenCode": code} if code is not None else {"then": status})


def _masked_sender(sender: str) -> str:
    """A number masked; a messaging service's SID names nobody."""
    return mask_phone(sender) if NUMBER.fullmatch(sender) else sender
