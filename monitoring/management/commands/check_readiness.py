from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from monitoring.findings import Verdict, report_lines, tally, worst
from monitoring.readiness import readiness


class Command(BaseCommand):
    help = (
        "The production readiness report: each check PASS, WARN or FAIL with its milliseconds and what to do. "
        "Changes nothing; exits 1 on a FAIL."
    )
    # What is wrong with the settings is one of the findings, not a reason to find nothing else.
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        findings = list(readiness())
        for line in report_lines(findings):
            self.stdout.write(line)
        self.stdout.write(tally(findings))
        if worst(findings) is Verdict.FAIL:
            sys.exit(1)
