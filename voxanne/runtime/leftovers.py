"""A note of the stack's processes, so that a run that was killed leaves nothing in the way of the next."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from voxanne.runtime.child import end_group
from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.process_identity import ProcessIdentity
from voxanne.runtime.state import write_private

STACK_FILE = "stack.json"
STOP_SECONDS = 10.0


def remember(data: Path, pids: dict[str, int]) -> None:
    found = {name: ProcessIdentity.of(pid) for name, pid in pids.items()}
    launcher = ProcessIdentity.of(os.getpid())
    note = {
        "launcher": asdict(launcher) if launcher else None,
        "processes": {name: asdict(process) for name, process in found.items() if process},
    }
    write_private(data / STACK_FILE, json.dumps(note, indent=2) + "\n")


def forget(data: Path) -> None:
    (data / STACK_FILE).unlink(missing_ok=True)


def end_leftovers(data: Path) -> list[str]:
    """Ends what a killed run left behind; returns the names. Raises RuntimeFault while its launcher lives."""
    note = _read(data)
    launcher = ProcessIdentity.from_json(note.get("launcher"))
    if launcher and launcher.alive() and launcher.pid != os.getpid():
        raise RuntimeFault(
            f"`make run` or `make demo` is running here already (process {launcher.pid}): stop it, "
            "or give this one its own PORT, SANDBOX_PORT and VOXANNE_DATA_DIR."
        )
    ended = []
    for name, value in note.get("processes", {}).items():
        process = ProcessIdentity.from_json(value)
        if process and process.alive():
            end_group(process.pid, STOP_SECONDS)
            ended.append(name)
    forget(data)
    return ended


def _read(data: Path) -> dict[str, Any]:
    try:
        note = json.loads((data / STACK_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
