"""The same request twice under one key: one effect, and the first answer again (contract, section 5).

The claim is a row whose unique key lets one of several copies through: a copy that comes at the same instant waits on
it until the first has committed, then finds its answer. What is rolled back, so that it may be tried again, takes
its claim with it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from monitoring.retention import remove
from telephony.api.tokens import Bearer
from telephony.models import ApiIdempotencyKey
from voxanne.statements import Statement
from voxanne.tenancy.ids import new_id

LONGEST_KEY = 255
KEPT = timedelta(hours=24)
# A claim that vanishes between two looks was rolled back, or had served its time.
MOST_LOOKS = 3

CLAIM = Statement("""
INSERT INTO api_idempotency_keys (id, org_id, caller, key, request, created_at)
VALUES (%(id)s, %(org)s, %(caller)s, %(key)s, %(request)s, now())
ON CONFLICT ON CONSTRAINT one_answer_an_idempotency_key DO NOTHING
RETURNING id
""")
KNOWN = Statement("""
SELECT request, status, answer::text FROM api_idempotency_keys
WHERE org_id = %(org)s AND caller = %(caller)s AND key = %(key)s
""")
STORE = Statement("UPDATE api_idempotency_keys SET status = %s, answer = %s::jsonb WHERE id = %s")


class KeyReused(Exception):
    """The key came before, with another request."""


@dataclass(frozen=True, slots=True)
class Request:
    """The key a request came under, and the digest of what it asked."""

    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    status: int
    answer: dict[str, Any]


def is_key(text: str) -> bool:
    """Printable ASCII, 1 to 255 characters."""
    return 0 < len(text) <= LONGEST_KEY and text.isascii() and text.isprintable()


def digest_of(asked: Any) -> str:
    """Of JSON, whatever its spaces and the order of its members. Raises RecursionError."""
    return _digest(json.dumps(asked, sort_keys=True))


def claim(bearer: Bearer, request: Request) -> UUID | FirstAnswer:
    """The id of our claim; or the first answer, when the same was asked before. Inside the clinic's scope.

    Raises KeyReused.
    """
    values = {
        "id": new_id(),
        "org": bearer.clinic.org_id,
        "caller": _digest(bearer.subject),
        "key": _digest(request.key),
        "request": request.digest,
    }
    for _ in range(MOST_LOOKS):
        ours = CLAIM.row(values)
        if ours is not None:
            claim_id: UUID = ours[0]
            return claim_id
        known = KNOWN.row(values)
        if known is not None:
            return _first_answer(known, request.digest)
    raise LookupError("The claim is neither ours to make nor there to read.")


def _first_answer(known: tuple[Any, ...], digest: str) -> FirstAnswer:
    asked, status, answer = known
    if asked != digest:
        raise KeyReused
    return FirstAnswer(status, json.loads(answer))


def store_answer(claim_id: UUID, status: int, answer: dict[str, Any]) -> None:
    """Keeps the answer with its claim, in the transaction that does the work."""
    STORE.run([status, json.dumps(answer), claim_id])


def forget_old_keys() -> int:
    """Removes keys that are older than a day; returns how many."""
    return remove(_old_keys, "remove old keys of the booking API")


def _old_keys() -> QuerySet[ApiIdempotencyKey]:
    return ApiIdempotencyKey.objects.filter(created_at__lt=timezone.now() - KEPT).order_by("created_at")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
