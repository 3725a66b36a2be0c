"""Keeps people's data out of logs, error reports and alerts: by key, and by what looks like a number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PRIVATE_KEYS = frozenset(
    {
        "body",
        "name",
        "patient_name",
        "patientname",
        "phone",
        "patientphone",
        "email",
        "patientemail",
        "to",
        "from",
        "recipient",
        "sender",
        "caller",
        "transcript",
        "summary",
        "message",
        "searchkey",
        "authorization",
        "secret",
        "token",
        "password",
        "cookie",
        "arguments",
    }
)
PHONE_LIKE = re.compile(r"\+?\d[\d\s().-]{6,}\d")
EMAIL_LIKE = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
HIDDEN = "[hidden]"


def mask_text(text: str) -> str:
    """Hides what looks like a phone number (all but four digits) or an e-mail address."""
    return EMAIL_LIKE.sub(HIDDEN, PHONE_LIKE.sub(_mask_number, text))


def _mask_number(match: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", match.group())
    return f"•••{digits[-4:]}" if 7 <= len(digits) <= 15 else match.group()


def mask(value: Any) -> Any:
    """A copy with private keys hidden and numbers masked, at any depth."""
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if str(key).lower() in PRIVATE_KEYS else mask(inner) for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [mask(inner) for inner in value]
    return mask_text(value) if isinstance(value, str) else value
