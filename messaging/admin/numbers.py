"""Phone numbers on staff pages: whole for those who keep the clinic's contacts, masked for everybody else."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest

from messaging.phone_numbers import InvalidPhoneNumber, normalise
from voxanne.staff import people

KEEPS_CONTACTS = "messaging.change_contact"


def whole_or_masked(request: HttpRequest, row: Any, field: str) -> str:
    """The column to show on the row's page: ``field`` itself for who may change contacts at the row's clinic, else
    the page's ``<field>_masked``."""
    return field if people.holds(request, KEEPS_CONTACTS, row) else f"{field}_masked"


def clean_number(typed: str | None, country: str) -> str | None:
    """E.164 of what was typed, read as in ``country``; None when blank. Raises ValidationError."""
    if not typed or not typed.strip():
        return None
    try:
        return normalise(typed, country)
    except InvalidPhoneNumber as error:
        raise forms.ValidationError("That is no complete phone number, such as +44 20 7946 0018.") from error
