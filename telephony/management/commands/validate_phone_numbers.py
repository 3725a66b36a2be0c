from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from monitoring.findings import Verdict, report_lines, tally, worst
from telephony.phone_number_checks import check_numbers
from telephony.vapi.our_side import clinics_named


class Command(BaseCommand):
    help = (
        "Checks that every number leads to exactly one clinic and, where the provider can be asked, exists there. "
        "PASS, WARN or FAIL each, with what to do; exits 1 on a FAIL."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--org", metavar="SLUG", help="One clinic; every active one by default.")

    def handle(self, *args: Any, **options: Any) -> None:
        clinics = clinics_named(options["org"])
        if options["org"] and not clinics:
            raise CommandError(f"There is no active clinic {options['org']!r}.")
        by_clinic = check_numbers(clinics)
        for slug, findings in by_clinic.items():
            self.stdout.write(slug)
            for line in report_lines(findings):
                self.stdout.write(f"  {line}")
        found = [finding for findings in by_clinic.values() for finding in findings]
        self.stdout.write(tally(found))
        if worst(found) is Verdict.FAIL:
            sys.exit(1)
