"""What is kept of a webhook's body: without secrets, without what nobody reads, compressed and encrypted.

Sources of what is secret: Vapi's phone numbers carry Twilio's token and API secret and the server's own secret,
its tools echo ``server.secret`` and static headers, and ``controlUrl`` and ``listenUrl`` are capabilities: whoever
has one commands or hears the call. A key is judged by its name, wherever it stands.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from voxanne.encryption import seal, unseal

REDACTED = "[redacted]"
SECRET_KEY = re.compile(
    r"secret|token$|password|authorization|credential|api[-_]?key|private[-_]?key|^headers$|(?:control|listen)[-_]?url",
    re.IGNORECASE,
)
# Deeper than any provider nests; what lies below is left out.
DEEPEST = 40
# Text shrinks to a third at the cheapest level already, and less is to be encrypted and written.
COMPRESSION = 1
# A body of 6 MB may take three times that once it is written in ASCII.
LARGEST_UNPACKED = 32 * 1024 * 1024


@lru_cache(maxsize=2_000)
def is_secret(key: str) -> bool:
    """Whether a member of this name is never stored."""
    return bool(SECRET_KEY.search(key))


def redacted(value: Any, drop: frozenset[str] = frozenset(), depth: int = 0) -> Any:
    """A copy of decoded JSON without secrets, and without the members named in ``drop``, at any depth."""
    if isinstance(value, dict):
        if depth > DEEPEST:
            return REDACTED
        return {
            key: REDACTED if inner and is_secret(key[:80]) else redacted(inner, drop, depth + 1)
            for key, inner in value.items()
            if key not in drop
        }
    if isinstance(value, list):
        return REDACTED if depth > DEEPEST else [redacted(inner, drop, depth + 1) for inner in value]
    return value


def packed(payload: Mapping[str, Any]) -> bytes:
    """The form in which a payload lies in the table."""
    plain = json.dumps(payload, separators=(",", ":")).encode("ascii")
    return seal(zlib.compress(plain, COMPRESSION))


def unpacked(kept: bytes | memoryview) -> dict[str, Any]:
    """The payload again. Raises UnreadableCredential when no configured key fits."""
    inflate = zlib.decompressobj()
    plain = inflate.decompress(unseal(bytes(kept)), LARGEST_UNPACKED)
    payload: dict[str, Any] = json.loads(plain)
    return payload
