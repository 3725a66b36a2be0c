"""WhatsApp at Twilio: prefixed addresses, templates by their Content SID, and the 24-hour window.

Source: Twilio's WhatsApp pages and its error dictionary: free words outside the window are taken by the API, and the
message then fails with 63016.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

from voxanne.sandbox.settings import Settings
from voxanne.sandbox.twilio.errors import TwilioError
from voxanne.sandbox.twilio.messages import Message, Messages

PREFIX = "whatsapp:"
CONTENT_SID = re.compile(r"HX[0-9a-fA-F]{32}")
PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
OUTSIDE_WINDOW = 63016


def is_whatsapp(address: str | None) -> bool:
    return (address or "").startswith(PREFIX)


def check_channels(to: str, sender: str) -> None:
    """Both ends are on one channel. Raises TwilioError."""
    if sender and is_whatsapp(to) != is_whatsapp(sender):
        raise TwilioError(21910)


def rendered(form: dict[str, str], templates: dict[str, str]) -> str:
    """The words of a template as the person reads them. With ``templates`` empty, any well-formed SID is one that
    consists of its places. Raises TwilioError."""
    sid = form["ContentSid"]
    if not CONTENT_SID.fullmatch(sid) or (templates and sid not in templates):
        raise TwilioError(21655)
    values = _variables(form.get("ContentVariables", ""))
    wording = templates.get(sid) or f"Template {sid[:6]}: " + ", ".join(f"{{{{{name}}}}}" for name in values)
    if not set(PLACE.findall(wording)) <= set(values):
        raise TwilioError(21656)
    return PLACE.sub(lambda place: values[place[1]], wording)


def _variables(given: str) -> dict[str, str]:
    """WhatsApp takes no empty place, no line break in one, and no more than four spaces in a row."""
    try:
        values: Any = json.loads(given) if given else {}
    except ValueError as error:
        raise TwilioError(21656) from error
    if not isinstance(values, dict) or not all(_is_fit(value) for value in values.values()):
        raise TwilioError(21656)
    return values


def _is_fit(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not re.search(r"[\n\t]|\s{5}", value)


def fails_outside_window(
    form: dict[str, str], sender: str | None, messages: Messages, settings: Settings
) -> bool:
    """Whether WhatsApp will not deliver these free words, because the person has not written for a day."""
    if not is_whatsapp(form["To"]) or form.get("ContentSid"):
        return False
    last = messages.last_between(sender=form["To"], to=sender or "")
    return last is None or time.time() - last.created_at > settings.whatsapp_window_seconds


def of_receipt(message: Message, status: str, code: int | None) -> dict[str, str]:
    """The fields that a status callback has for WhatsApp alone."""
    fields = {"ChannelPrefix": "whatsapp", "ChannelInstallSid": f"XE{'0' * 31}1"}
    if status in ("delivered", "read"):
        fields["EventType"] = status.upper()
    if code is not None:
        fields["ChannelStatusMessage"] = f"The channel refused the message ({code})"
    return fields


def of_inbound(message: Message, profile_name: str, button: dict[str, str]) -> dict[str, str]:
    """The fields that an incoming text has for WhatsApp alone."""
    number = (message.sender or "").removeprefix(f"{PREFIX}+")
    kind = "button" if button else "text"
    return {"ProfileName": profile_name or number, "WaId": number, "MessageType": kind, **button}
