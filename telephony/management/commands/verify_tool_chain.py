from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from monitoring.findings import Verdict, report_lines, tally, worst
from telephony.tool_chain import tool_chains
from telephony.vapi.our_side import clinics_named


class Command(BaseCommand):
    help = (
        "Checks each clinic's tool chain: our address, assistants, registered tools, their ids and server "
        "addresses at Vapi, links. PASS, WARN or FAIL each, with what to do; exits 1 on a FAIL."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--org", metavar="SLUG", help="One clinic; every active one by default.")

    def handle(self, *args: Any, **options: Any) -> None:
        clinics = clinics_named(options["org"])
        if options["org"] and not clinics:
            raise CommandError(f"There is no active clinic {options['org']!r}.")
        chains = tool_chains(clinics)
        for chain in chains:
            self.stdout.write(chain.slug or "platform")
            for line in report_lines(chain.findings):
                self.stdout.write(f"  {line}")
        found = [finding for chain in chains for finding in chain.findings]
        self.stdout.write(tally(found))
        if worst(found) is Verdict.FAIL:
            sys.exit(1)
