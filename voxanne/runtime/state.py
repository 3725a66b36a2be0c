"""What runs for this checkout and where it answers, kept in one file of the data folder.

The settings import this module: standard library only, no Django, one small file read.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from voxanne.runtime.process_identity import ProcessIdentity

PROJECT_ROOT = Path(__file__).resolve().parent.parent.parent
POSTGRES = "postgres"
VALKEY = "valkey"
SERVERS = (POSTGRES, VALKEY)
STATE_FILE = "servers.json"
REDIS_URL_FILE = "valkey.url"


@dataclass(frozen=True)
class ServerRecord:
    """One embedded server: its process, its port on 127.0.0.1, the URL clients use, its files."""

    process: ProcessIdentity
    port: int
    url: str = field(repr=False)
    version: str
    binaries: str
    data: str

    @staticmethod
    def from_json(value: Any) -> ServerRecord | None:
        try:
            process = ProcessIdentity.from_json(value["process"])
            texts = {name: str(value[name]) for name in ("url", "version", "binaries", "data")}
            return ServerRecord(process=process, port=int(value["port"]), **texts) if process else None
        except (KeyError, TypeError, ValueError):
            return None


@dataclass
class RuntimeState:
    """The servers, who leans on them, and whether they stay up when nobody does (``kept``)."""

    postgres: ServerRecord | None = None
    valkey: ServerRecord | None = None
    kept: bool = False
    holders: list[ProcessIdentity] = field(default_factory=list)

    def server(self, name: str) -> ServerRecord | None:
        return self.postgres if name == POSTGRES else self.valkey

    def set_server(self, name: str, record: ServerRecord | None) -> None:
        if name == POSTGRES:
            self.postgres = record
        else:
            self.valkey = record

    def live_holders(self) -> list[ProcessIdentity]:
        return [holder for holder in self.holders if holder.alive()]


def data_directory() -> Path:
    """``VOXANNE_DATA_DIR``, else ``.data``; a relative path starts at the project's root."""
    named = os.environ.get("VOXANNE_DATA_DIR", "").strip() or ".data"
    return (PROJECT_ROOT / Path(named).expanduser()).resolve()


def read_state(directory: Path) -> RuntimeState:
    """The state kept in ``directory``; an absent or unreadable file means that nothing runs."""
    try:
        value = json.loads((directory / STATE_FILE).read_text(encoding="utf-8"))
        holders = [ProcessIdentity.from_json(holder) for holder in value.get("holders", [])]
        return RuntimeState(
            postgres=ServerRecord.from_json(value.get(POSTGRES)),
            valkey=ServerRecord.from_json(value.get(VALKEY)),
            kept=bool(value.get("kept")),
            holders=[holder for holder in holders if holder],
        )
    except (OSError, ValueError, AttributeError, TypeError):
        return RuntimeState()


def write_state(directory: Path, state: RuntimeState) -> None:
    write_private(directory / STATE_FILE, json.dumps(asdict(state), indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replaces a file at once, readable by its owner only."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)


def known_urls() -> tuple[str | None, str | None]:
    """(database URL, Redis URL) of the embedded servers of this checkout; None for one that does not run.

    The database URL names the owner of the tables: no superuser, no right to bypass row-level security. A Redis that
    went away under those who lean on it keeps its URL: a process that starts meanwhile finds it when it is back.
    """
    directory = data_directory()
    state = read_state(directory)
    redis_url = _live_url(state.valkey) or (_remembered_url(directory) if state.live_holders() else None)
    return _live_url(state.postgres), redis_url


def remember_redis_url(directory: Path, url: str) -> None:
    write_private(directory / REDIS_URL_FILE, url)


def _remembered_url(directory: Path) -> str | None:
    try:
        return (directory / REDIS_URL_FILE).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _live_url(record: ServerRecord | None) -> str | None:
    return record.url if record and record.process.alive() else None
