"""How the tool chain's commands ask and tell: what was found, and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from django.core.management.base import BaseCommand, CommandParser

from monitoring.findings import Finding, Verdict, report_lines, tally, worst
from telephony.asked_for import add_org_option
from telephony.tool_chain.report import ClinicReport, summary, table


def add_options(parser: CommandParser) -> None:
    """For commands that change what differs."""
    add_org_option(parser)
    parser.add_argument(
        "--check",
        action="store_true",
        help="Change nothing, report what differs; exit 1 if anything does.",
    )


def tell(command: BaseCommand, reports: list[ClinicReport]) -> None:
    """What differed or was changed; exits 1 where a clinic needs a person, or differs and was only looked at."""
    for line in table(reports):
        command.stdout.write(line)
    for report in reports:
        if report.failure:
            command.stderr.write(f"{report.slug}: {report.failure}")
    command.stdout.write(summary(reports))
    if any(report.troubled or (report.check_only and report.differs) for report in reports):
        sys.exit(1)


def tell_findings(command: BaseCommand, of_clinics: Iterable[tuple[str, Sequence[Finding]]]) -> None:
    """Findings under the name each belongs to; exits 1 on a FAIL."""
    every: list[Finding] = []
    for name, findings in of_clinics:
        command.stdout.write(name)
        for line in report_lines(findings):
            command.stdout.write(f"  {line}")
        every += findings
    command.stdout.write(tally(every))
    if worst(every) is Verdict.FAIL:
        sys.exit(1)
