from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from telephony.vapi.our_side import clinics_named
from telephony.vapi.rest import VapiFault
from telephony.vapi.sync import sync_clinics
from telephony.vapi.sync_report import summary, table


class Command(BaseCommand):
    help = (
        "Registers or repairs the assistant's tools at Vapi, and the settings of assistants and numbers there. "
        "Running it again changes nothing. Exits 1 when a clinic could not be finished or needs a person."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--org", metavar="SLUG", help="One clinic; every active one by default.")
        parser.add_argument(
            "--check",
            action="store_true",
            help="Change nothing, report what differs; exit 1 if anything does.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        clinics = clinics_named(options["org"])
        if options["org"] and not clinics:
            raise CommandError(f"There is no active clinic {options['org']!r}.")
        try:
            reports = sync_clinics(clinics, check_only=options["check"])
        except VapiFault as fault:
            raise CommandError(str(fault)) from fault
        for line in table(reports):
            self.stdout.write(line)
        for report in reports:
            if report.failure:
                self.stderr.write(f"{report.slug}: {report.failure}")
        self.stdout.write(summary(reports))
        differs = options["check"] and any(report.differs for report in reports)
        if differs or any(report.troubled for report in reports):
            sys.exit(1)
