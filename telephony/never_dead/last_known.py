"""The last-known line of each number, kept outside the database: what a call rings while the database is away.

One small file a key under ``VOXANNE_DATA_DIR/without-database/lines``, written whole and then moved into place, so that
no reader meets half of one. Keys are digests of the dialled number and of Vapi's ids, so that a look-up opens one file.
Secrets in it are encrypted with ``CREDENTIAL_ENCRYPTION_KEYS``; a file that cannot be read counts as none.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings

from telephony.never_dead.whole_files import write_whole
from voxanne.encryption import UnreadableCredential, decrypt, encrypt

logger = structlog.get_logger(__name__)

FOLDER = "without-database/lines"
SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class LastKnown:
    """What is needed to believe a request about ``number`` and to ring its clinic; ``line`` is blank without one."""

    number: str
    line: str
    ring_seconds: int
    account_sid: str
    auth_token: str
    vapi_secrets: tuple[str, ...] = ()
    vapi_ids: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        return (key_of("number", self.number), *(key_of("vapi", each) for each in self.vapi_ids))


def key_of(kind: str, value: str) -> str:
    return hashlib.sha256(f"{kind}:{value}".encode()).hexdigest()[:40]


def folder() -> Path:
    return Path(settings.DATA_DIR) / FOLDER


def of_number(number: str) -> LastKnown | None:
    return _read(key_of("number", number)) if number else None


def of_vapi_ids(ids: Iterable[str]) -> LastKnown | None:
    """The entry of the first of Vapi's ids (of a number, of an assistant) that has one."""
    found = (_read(key_of("vapi", each)) for each in ids if each)
    return next((entry for entry in found if entry is not None), None)


def ringing_at(line: str) -> Iterator[LastKnown]:
    """Every entry whose clinic answers at ``line``: looked for one by one, which is seldom needed."""
    for path in sorted(folder().glob(f"*{SUFFIX}")) if line else ():
        entry = _read(path.stem)
        if entry is not None and entry.line == line:
            yield entry


def age_of(entry: LastKnown) -> float | None:
    """Seconds since the entry was last found true; None when it is not kept."""
    ages = [_age(key) for key in entry.keys]
    known = [age for age in ages if age is not None]
    return max(known) if len(known) == len(ages) else None


def keep(entry: LastKnown) -> bool:
    """Writes the entry where it changed, else marks it as still true. False, with a warning in the log, where the
    folder cannot be written to: a caller must not suffer for it."""
    try:
        for key in entry.keys:
            if _read(key) == entry:
                os.utime(_path(key))
            else:
                _write(key, entry)
    except OSError as error:
        logger.warning("last_known_line_not_kept", reason=type(error).__name__)
        return False
    return True


def forget_all_but(entries: Iterable[LastKnown]) -> int:
    """Removes what is kept of numbers that are nobody's any more; returns how many files."""
    wanted = {key for entry in entries for key in entry.keys}
    gone = [path for path in folder().glob(f"*{SUFFIX}") if path.stem not in wanted]
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)


def _path(key: str) -> Path:
    return folder() / f"{key}{SUFFIX}"


def _age(key: str) -> float | None:
    try:
        return max(time.time() - _path(key).stat().st_mtime, 0.0)
    except OSError:
        return None


def _read(key: str) -> LastKnown | None:
    try:
        return _opened(json.loads(_path(key).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, UnreadableCredential):
        return None


def _opened(stored: dict[str, Any]) -> LastKnown:
    return LastKnown(
        number=stored["number"],
        line=stored["line"],
        ring_seconds=int(stored["ring_seconds"]),
        account_sid=stored["account_sid"],
        auth_token=decrypt(stored["auth_token"]) if stored["auth_token"] else "",
        vapi_secrets=tuple(decrypt(secret) for secret in stored["vapi_secrets"]),
        vapi_ids=tuple(stored["vapi_ids"]),
    )


def _write(key: str, entry: LastKnown) -> None:
    stored = asdict(entry) | {
        "auth_token": encrypt(entry.auth_token) if entry.auth_token else "",
        "vapi_secrets": [encrypt(secret) for secret in entry.vapi_secrets],
    }
    write_whole(_path(key), json.dumps(stored))
