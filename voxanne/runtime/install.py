"""Makes ``.venv`` and installs the pinned packages into it, only when they changed since the last time.

Run as a file by whatever Python ``make setup`` finds: standard library only, nothing of the project imported.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = PROJECT_ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
REQUIREMENTS = PROJECT_ROOT / "requirements-dev.txt"
STAMP = ENVIRONMENT / ".installed"
PROGRESS_SECONDS = 5.0
SHOWN_LINES = 15
# The file pins the whole tree with hashes, so there is nothing to resolve.
PIP_INSTALL = [
    "install",
    "--require-hashes",
    "--no-deps",
    "--no-input",
    "--disable-pip-version-check",
    "--no-compile",
]
USABLE = "import sys, pip; sys.exit(sys.version_info < (3, 11))"


def main() -> int:
    with lock():
        wanted = fingerprint()
        if usable() and STAMP.exists() and STAMP.read_text(encoding="utf-8") == wanted:
            return 0
        if not usable():
            say(f"making .venv with Python {sys.version.split()[0]}")
            venv.create(ENVIRONMENT, with_pip=True, clear=True, symlinks=True)
            wanted = fingerprint()
        code = install()
        if code == 0:
            STAMP.write_text(wanted, encoding="utf-8")
        return code


@contextmanager
def lock() -> Iterator[None]:
    """One set-up at a time; the others wait for it and then find nothing left to do."""
    with REQUIREMENTS.open(encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def fingerprint() -> str:
    """Changes with the pinned packages and with the Python they are installed for."""
    built_for = ENVIRONMENT / "pyvenv.cfg"
    digest = hashlib.sha256(REQUIREMENTS.read_bytes())
    digest.update(built_for.read_bytes() if built_for.exists() else b"")
    return digest.hexdigest()


def usable() -> bool:
    if not PYTHON.exists():
        return False
    return subprocess.run([str(PYTHON), "-c", USABLE], capture_output=True, check=False).returncode == 0


def install() -> int:
    began = time.monotonic()
    total = len(
        re.findall(r"^[\w.\-]+(\[[\w,]+\])?==", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)
    )
    say(f"installing {total} pinned packages")
    lines: list[str] = []
    pip = subprocess.Popen(
        [str(PYTHON), "-m", "pip", *PIP_INSTALL, "-r", str(REQUIREMENTS)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PIP_PROGRESS_BAR": "off"},
    )
    reader = threading.Thread(target=lambda: lines.extend(pip.stdout or ()), daemon=True)
    reader.start()
    shown = began
    while pip.poll() is None:
        time.sleep(0.1)
        if time.monotonic() - shown >= PROGRESS_SECONDS:
            shown = time.monotonic()
            say(f"{progress(lines, total)}, {shown - began:.0f} s so far")
    reader.join()
    if pip.returncode:
        print("".join(lines[-SHOWN_LINES:]), end="", file=sys.stderr)
        print(
            "The packages could not be installed: see pip's words above, then `make setup` again.",
            file=sys.stderr,
        )
        return pip.returncode
    say(f"installed in {time.monotonic() - began:.0f} s")
    return 0


def progress(lines: list[str], total: int) -> str:
    if any(line.startswith("Installing collected") for line in lines):
        return "unpacking"
    fetched = sum(line.startswith("Collecting ") for line in list(lines))
    return f"{fetched} of {total} fetched"


def say(text: str) -> None:
    print(f"setup   | {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
