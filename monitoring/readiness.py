"""Are we fit to serve real patients? One report of every check; each floor registers its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from monitoring.breaker import only_looking
from monitoring.findings import Finding, Verdict, timed

Look = Callable[[], list[Finding]]
_looks: dict[str, Look] = {}


def register_check(name: str, look: Look) -> None:
    """``look`` says what it found; it may take its time and raise, but changes nothing: not even a circuit."""
    _looks[name] = look


def readiness() -> Iterable[Finding]:
    """Every check's findings, one check after another in the order of their registration."""
    for name, look in _looks.items():
        with only_looking():
            found = timed(name, look)
        yield from found


def passed(check: str, detail: str) -> list[Finding]:
    return [Finding(check, Verdict.PASS, detail)]


def failed(check: str, detail: str, advice: str = "") -> list[Finding]:
    return [Finding(check, Verdict.FAIL, detail, advice)]


def warned(check: str, detail: str, advice: str = "") -> list[Finding]:
    return [Finding(check, Verdict.WARN, detail, advice)]
