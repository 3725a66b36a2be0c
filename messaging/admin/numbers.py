"""Phone numbers on staff pages: whole for those who keep the clinic's contacts, masked for everybody else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.safestring import SafeString

from messaging.phone_numbers import InvalidPhoneNumber, normalise
from voxanne.staff import people
from voxanne.staff.columns import NOTHING, link, shown

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
KEEPS_CONTACTS = "messaging.change_contact"


def whole_or_masked(request: HttpRequest, row: Any, field: str) -> str:
    """The column to show on the row's page: its ``<field>_whole`` (see ``whole``) for who may change contacts at the
    row's clinic, else its ``<field>_masked``."""
    return f"{field}_whole" if people.holds(request, KEEPS_CONTACTS, row) else f"{field}_masked"


def whole(title: str, field: str) -> Callable[[Any, Any], SafeString | str]:
    """A column that tells a row's number whole, to be rung at a touch."""

    @shown(title)
    def told(admin: Any, row: Any) -> SafeString | str:
        return to_ring(getattr(row, field))

    return told


def to_ring(number: str | None) -> SafeString | str:
    """The number as a link that rings it; what is no number that can be rung, as it is."""
    if not number or E164.fullmatch(number) is None:
        return number or NOTHING
    return link(f"tel:{number}", number)


def clean_number(typed: str | None, country: str) -> str | None:
    """E.164 of what was typed, read as in ``country``; None when blank. Raises ValidationError."""
    if not typed or not typed.strip():
        return None
    try:
        return normalise(typed, country)
    except InvalidPhoneNumber as error:
        raise forms.ValidationError("That is no complete phone number, such as +44 20 7946 0018.") from error
