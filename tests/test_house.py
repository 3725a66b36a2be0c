"""The house stands: imports go downward, nothing leans on the sandbox, no file is two."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Each floor, and what it may import of ours; the ground first.
GROUND = (
    "voxanne.tenancy", "voxanne.durable", "voxanne.environment", "voxanne.encryption", "voxanne.indexes",
    "voxanne.statements", "voxanne.outgoing",
)  # fmt: skip
STAFF = ("voxanne.staff",)
FLOORS = {
    "voxanne/tenancy": GROUND,
    "voxanne/durable": GROUND,
    "monitoring": (*GROUND, "monitoring"),
    "messaging": (*GROUND, "monitoring", "messaging"),
    "bookings": (*GROUND, "monitoring", "messaging", "bookings"),
    "telephony": (*GROUND, "monitoring", "messaging", "bookings", "telephony"),
}
OURS = ("voxanne", "monitoring", "messaging", "bookings", "telephony", "tests")
LONGEST_FILE = 400


def modules_of(folder: str) -> Iterator[Path]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        if "migrations" not in path.parts:
            yield path


def imported_by(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def is_staff_page(path: Path) -> bool:
    return "admin" in path.parts or path.name == "admin.py"


def upward_imports(floor: str, allowed: tuple[str, ...]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in modules_of(floor)
        for module in imported_by(path)
        if within(module, OURS) and not within(module, (*allowed, *STAFF) if is_staff_page(path) else allowed)
    ]


@pytest.mark.parametrize("floor", sorted(FLOORS))
def test_no_floor_imports_one_above_it(floor: str) -> None:
    assert upward_imports(floor, FLOORS[floor]) == []


def test_an_upward_import_would_be_seen() -> None:
    assert upward_imports("telephony", GROUND)


@pytest.mark.parametrize("floor", sorted(FLOORS))
def test_the_product_never_imports_the_sandbox(floor: str) -> None:
    assert not [
        path for path in modules_of(floor) if any(m.startswith("voxanne.sandbox") for m in imported_by(path))
    ]


def test_no_file_is_two() -> None:
    folders = ("voxanne", "monitoring", "messaging", "bookings", "telephony")
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in folders
        for path in modules_of(folder)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    }
    assert long == {}


def test_every_link_of_the_documents_leads_somewhere() -> None:
    import re

    missing = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
        for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert missing == []
