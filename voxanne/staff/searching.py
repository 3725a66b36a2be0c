"""What a list's search box may look through: what a person does not see, they cannot find out by searching.

A list shows some columns masked, such as ``+1 ••• ••• 0142``, to roles that do not keep contacts. Were parts of them
searched, a number could be guessed digit by digit. So those roles find a row by what the mask shows (the last four
digits) or by the whole number or address, which they must know already.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from uuid import UUID

from django.db.models import Q

WRITTEN_NUMBER = re.compile(r"^\+?[\d\s().\-/]*\d[\d\s().\-/]*$")
DIGITS_SHOWN = 4
# Of so many digits only the country's code can be missing, which the mask shows.
DIGITS_OF_A_WHOLE_NUMBER = 10


def as_kept(term: str) -> str:
    """A phone number is found however it is written: (415) 555-0142 is kept as +14155550142."""
    return re.sub(r"\D", "", term) if WRITTEN_NUMBER.match(term) else term


def within_sight(
    term: str, fields: Sequence[str], masked: Collection[str], whole_at: tuple[str, Collection[UUID]]
) -> Q:
    """Rows in which every word of ``term`` is found: in any of ``fields`` at the clinics where the person sees them
    whole (``whole_at``: the column that leads to the clinic, and these clinics), elsewhere in those not ``masked``."""
    shown = [field for field in fields if field.lstrip("=") not in masked]
    column, clinics = whole_at
    everywhere = _every_word(term, shown) | _masked(term, masked)
    return everywhere | (Q(**{f"{column}__in": clinics}) & _every_word(as_kept(term), fields))


def _every_word(term: str, fields: Sequence[str]) -> Q:
    found = Q()
    for word in term.split():
        found &= Q(*((_lookup(field), word) for field in fields), _connector=Q.OR)
    return found


def _lookup(field: str) -> str:
    return f"{field[1:]}__iexact" if field.startswith("=") else f"{field}__icontains"


def _masked(term: str, fields: Collection[str]) -> Q:
    kept = as_kept(term).strip()
    if not kept.isdecimal():
        return Q(*((f"{field}__iexact", kept) for field in fields), _connector=Q.OR)
    if DIGITS_SHOWN < len(kept) < DIGITS_OF_A_WHOLE_NUMBER or len(kept) < DIGITS_SHOWN:
        return Q(pk__in=[])
    return Q(*((f"{field}__endswith", kept) for field in fields), _connector=Q.OR)
