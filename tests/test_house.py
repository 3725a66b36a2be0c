"""The house stands as it is drawn (docs/architecture.md): floors, what stands beside them, and the size of things."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("manage.py", "voxanne", "telephony", "bookings", "messaging", "monitoring")

# Lowest first: a module imports from its own line and from those above it in this list, never from one below.
FLOORS = (
    (
        "voxanne.database",
        "voxanne.environment",
        "voxanne.encryption",
        "voxanne.bucket",
        "voxanne.media_storage",
        "voxanne.indexes",
        "voxanne.model_rows",
        "voxanne.outgoing",
        "voxanne.statements",
    ),
    ("voxanne.tenancy",),
    ("voxanne.durable",),
    ("monitoring",),
    ("messaging",),
    ("bookings",),
    ("telephony",),
    ("voxanne.settings", "voxanne.urls", "voxanne.celery", "voxanne.wsgi", "voxanne.asgi", "manage"),
)
LEVELS = {name: level for level, names in enumerate(FLOORS) for name in names}
# What stands beside the floors, and who may come in: the pages that show a floor, and nobody.
ADMIN_PAGES = "voxanne.staff"
BESIDE = ("voxanne.runtime", "voxanne.demo", "voxanne.sandbox")
# The settings look up where the embedded servers answer, and the pages' colours; nothing else of either.
OF_THE_SETTINGS = {"voxanne.runtime.state", "voxanne.staff.theme"}

MOST_LINES = 400
MOST_LINES_OF_TESTS = 450
MOST_LINES_OF_A_FUNCTION = 60


def modules(*places: str) -> list[Path]:
    found = [
        path
        for place in places
        for path in ([ROOT / place] if place.endswith(".py") else sorted((ROOT / place).rglob("*.py")))
    ]
    return [path for path in found if "migrations" not in path.parts]


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    """The full names of what a module imports, also inside its functions."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def stands_in(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}.")


def place_of(name: str) -> str | None:
    """The floor, or what beside them, that a name belongs to; None for what is not ours."""
    return next((place for place in (*LEVELS, ADMIN_PAGES, *BESIDE) if stands_in(name, place)), None)


FLOOR_MODULES = [path for path in modules(*PRODUCT) if place_of(name_of(path)) in LEVELS]
EVERY_MODULE = modules(*PRODUCT, "tests")


def test_every_module_has_its_place() -> None:
    lost = [name_of(path) for path in modules(*PRODUCT) if place_of(name_of(path)) is None]
    assert lost == ["voxanne"], "draw new ones into FLOORS, and into docs/architecture.md"


def test_imports_go_downward_only() -> None:
    upward = {
        (name_of(path), name)
        for path in FLOOR_MODULES
        for name in imported(path)
        if LEVELS.get(place_of(name) or "", -1) > LEVELS[place_of(name_of(path)) or ""]
    }
    assert upward == set()


def test_no_floor_leans_on_what_stands_beside_it() -> None:
    leant_on = {
        (name_of(path), name)
        for path in FLOOR_MODULES
        for name in imported(path)
        if place_of(name) in (*BESIDE, ADMIN_PAGES) and not may_lean_on(name_of(path), name)
    }
    assert leant_on == set()


def may_lean_on(module: str, name: str) -> bool:
    if module == "voxanne.settings":
        return any(stands_in(name, each) for each in OF_THE_SETTINGS)
    return place_of(name) == ADMIN_PAGES and "admin" in module.split(".")


def test_the_sandbox_knows_nothing_of_the_product() -> None:
    """It plays the providers: what it shared with the product, it could not disagree with it about."""
    places = {place_of(name) for path in modules("voxanne/sandbox") for name in imported(path)}
    assert places == {None, "voxanne.sandbox"}


def test_the_runtime_starts_the_product_and_is_no_part_of_it() -> None:
    places = {place_of(name) for path in modules("voxanne/runtime") for name in imported(path)}
    assert places == {None, "voxanne.runtime", "voxanne.environment"}


def test_every_module_reads_its_annotations_later() -> None:
    assert [
        name_of(path) for path in EVERY_MODULE if has_code(path) and not reads_annotations_later(path)
    ] == []


def has_code(path: Path) -> bool:
    return any(not isinstance(node, ast.Expr) for node in tree_of(path).body)


def reads_annotations_later(path: Path) -> bool:
    return any(
        isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree_of(path).body
    )


def test_no_module_is_asking_to_become_two() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in EVERY_MODULE}
    tests = ROOT / "tests"
    too_long = {
        name_of(path): lines
        for path, lines in lengths.items()
        if lines > (MOST_LINES_OF_TESTS if path.is_relative_to(tests) else MOST_LINES)
    }
    assert too_long == {}


def test_no_function_is_asking_to_become_two() -> None:
    too_long = {
        (name_of(path), node.name)
        for path in EVERY_MODULE
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno >= MOST_LINES_OF_A_FUNCTION
    }
    assert too_long == set()
