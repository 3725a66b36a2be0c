"""What a person texts from, as against short codes, names of companies and landlines."""

from __future__ import annotations

import re

from messaging.phone_numbers import is_mobile_possible

E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def is_a_persons(number: str) -> bool:
    """Whether somebody may hold a phone of this number in the hand."""
    return E164.fullmatch(number) is not None and is_mobile_possible(number)
