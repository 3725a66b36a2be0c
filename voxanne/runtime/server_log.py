"""The servers' own logs, ``log/<server>.log`` in the data folder."""

from __future__ import annotations

import os
from pathlib import Path

ROTATE_BYTES = 5 * 1024 * 1024
TAIL_BYTES = 8192


def log_path(data: Path, name: str) -> Path:
    return data / "log" / f"{name}.log"


def open_log(data: Path, name: str) -> int:
    """A descriptor to append to, the caller's to close; a log past 5 MB becomes ``<name>.log.1`` first."""
    path = log_path(data, name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > ROTATE_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def log_tail(path: Path, lines: int = 12, since: int = 0) -> str:
    """The last lines written after byte ``since``, each set in; empty when there are none."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(since, size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


def log_size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
