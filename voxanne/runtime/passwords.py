"""The embedded servers' generated passwords: one private file each, beside the data they open."""

from __future__ import annotations

import secrets
from pathlib import Path

from voxanne.runtime.state import write_private

SUPERUSER_FILE = "postgres-superuser.password"
OWNER_FILE = "postgres-owner.password"
REDIS_FILE = "redis.password"


def read_or_make(path: Path) -> str:
    """The password kept in a file; a new random one, kept there, when there is none."""
    if not path.exists():
        write_private(path, secrets.token_hex(24))
    return path.read_text(encoding="ascii").strip()
