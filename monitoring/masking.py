"""Keeps people's data out of logs, error reports and alerts: by key, and by what looks like a number.

A name in free text looks like any other word: what is logged or raised must not hold one. This module is the
net under that rule, not the rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "[hidden]"
# Compared without case, "_" and "-".
PRIVATE_KEYS = frozenset(
    {
        "body", "name", "names", "firstname", "lastname", "fullname", "patientname", "callername", "customername",
        "phone", "number", "to", "from", "recipient", "sender", "caller", "callbacknumber", "email", "address", "dob",
        "dateofbirth", "transcript", "summary", "message", "messages", "searchkey", "arguments", "args", "answer",
        "notes", "reason", "query",
    }
)  # fmt: skip
PRIVATE_ENDINGS = (
    "phone", "phonenumber", "email", "token", "secret", "password", "authorization", "apikey", "cookie", "cookies",
    "signature", "sessionid", "jwt",
)  # fmt: skip

UUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
HEX_ID = r"(?<![0-9a-zA-Z])(?:[A-Z]{2})?[0-9a-f]{32}(?![0-9a-zA-Z])"
DAY = r"(?<!\d)(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?!\d)"
MOMENT = DAY + r"(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?"
# Ids and moments are kept, or no line could be traced; what else has seven digits and more is a phone number.
PHONE_LIKE = re.compile(rf"(?P<kept>{UUID}|{HEX_ID}|{MOMENT})|\+?\d[\d .()\u00a0\u2010-\u2015-]{{5,}}\d")
EMAIL_LIKE = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{1,190}")
# Whoever holds one of these is let in: bearer tokens, passwords in URLs, patients' and feeds' own addresses.
SECRET_LIKE = re.compile(
    r"(?P<before>\b(?:Bearer|Basic)\s+|://[^\s/:@]*:|/(?:a|feeds|media/recordings)/)(?P<secret>[^\s\"'?#,;@]+)"
)
JWT_LIKE = re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*")
# PostgreSQL repeats the row in the second line of its errors; a blank line ends that part of a traceback.
ROW_LIKE = re.compile(r"(?P<before>\b(?:DETAIL|CONTEXT|Failing row contains)\b:?).*?(?=\n\n|\Z)", re.DOTALL)
LONGEST_TEXT = 20_000


def mask_text(text: str) -> str:
    """Hides what looks like a phone number (all but its last four digits), an e-mail address, a credential
    or a database row; cuts what is longer than 20,000 characters."""
    shown = text[:LONGEST_TEXT]
    if "DETAIL" in shown or "CONTEXT" in shown or "Failing row" in shown:
        shown = ROW_LIKE.sub(rf"\g<before> {HIDDEN}", shown)
    if "earer" in shown or "asic" in shown or "/" in shown:
        shown = SECRET_LIKE.sub(rf"\g<before>{HIDDEN}", shown)
    if "eyJ" in shown:
        shown = JWT_LIKE.sub(HIDDEN, shown)
    if "@" in shown:
        shown = EMAIL_LIKE.sub(HIDDEN, shown)
    return PHONE_LIKE.sub(_mask_number, shown)


def _mask_number(match: re.Match[str]) -> str:
    if match.group("kept"):
        return match.group()
    digits = re.sub(r"\D", "", match.group())
    return f"•••{digits[-4:]}" if 7 <= len(digits) <= 15 else match.group()


def mask_phone(number: str) -> str:
    """A recipient or caller as staff of the platform may see one: its last four digits."""
    digits = re.sub(r"\D", "", number)
    return f"•••{digits[-4:]}" if len(digits) >= 7 else HIDDEN


def is_private(key: object) -> bool:
    plain = str(key).lower().replace("_", "").replace("-", "")
    return plain in PRIVATE_KEYS or plain.endswith(PRIVATE_ENDINGS)


def mask(value: Any) -> Any:
    """A copy with private keys hidden and numbers masked, at any depth, in values and in keys."""
    if isinstance(value, Mapping):
        return {
            mask_text(key) if isinstance(key, str) else key: HIDDEN if is_private(key) else mask(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [mask(inner) for inner in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return HIDDEN
    if isinstance(value, int) and not isinstance(value, bool) and len(str(abs(value))) >= 10:
        return mask_text(str(value))
    return mask_text(value) if isinstance(value, str) else value
