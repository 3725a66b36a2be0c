"""What a check found: PASS, WARN or FAIL, in words, with how long it took and what to do about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import structlog

logger = structlog.get_logger(__name__)


class Verdict(StrEnum):
    PASS = "PASS"  # noqa: S105  (a verdict)
    WARN = "WARN"
    FAIL = "FAIL"


SEVERITY = (Verdict.PASS, Verdict.WARN, Verdict.FAIL)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome. ``advice`` says what to do, blank where nothing is."""

    check: str
    verdict: Verdict
    detail: str
    advice: str = ""
    milliseconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "verdict": self.verdict.value,
            "detail": self.detail,
            "advice": self.advice,
            "milliseconds": round(self.milliseconds, 1),
        }


def worst(findings: Iterable[Finding]) -> Verdict:
    """The gravest verdict; PASS when nothing was looked at."""
    return max((finding.verdict for finding in findings), key=SEVERITY.index, default=Verdict.PASS)


def timed(check: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    """What the look found, each finding with the time it took; a look that breaks is a FAIL of its own."""
    began = time.perf_counter()
    try:
        findings = look()
    # A report that one broken check cuts short would hide what the others found.
    except Exception as error:
        logger.warning("check_broke", check=check, kind=type(error).__name__)
        findings = [Finding(check, Verdict.FAIL, f"The check itself broke ({type(error).__name__}).")]
    took = (time.perf_counter() - began) * 1000
    return [replace(finding, milliseconds=took) for finding in findings]


def report_lines(findings: Iterable[Finding]) -> list[str]:
    """One line a finding, and under it what to do."""
    found = list(findings)
    width = max((len(finding.check) for finding in found), default=0)
    lines = []
    for finding in found:
        took = f"{finding.milliseconds:7.0f} ms"
        lines.append(f"{finding.verdict.value}  {finding.check:<{width}}  {took}  {finding.detail}")
        if finding.advice and finding.verdict is not Verdict.PASS:
            lines.append(f"{'':6}{'':{width}}  {'':10}  {finding.advice}")
    return lines


def tally(findings: Iterable[Finding]) -> str:
    """ "12 PASS, 1 WARN, 0 FAIL"."""
    verdicts = [finding.verdict for finding in findings]
    return ", ".join(f"{verdicts.count(verdict)} {verdict.value}" for verdict in SEVERITY)
