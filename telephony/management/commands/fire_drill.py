"""``manage.py fire_drill``: proves number by number that a clinic's phone is never a dead line."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from telephony.asked_for import add_org_option, numbers_asked_for
from telephony.models import PhoneNumber
from telephony.never_dead.fire_drill import Verdict, checks_of, keep_result, subject_of, worst
from voxanne.tenancy.scope import org_scope


class Command(BaseCommand):
    help = "Proves number by number that the clinic's phone rings when our database, or all of us, is down."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_org_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        verdicts = [self._drill(number) for number in numbers_asked_for(options["org"])]
        if not verdicts:
            self.stdout.write("There are no numbers to drill.")
        if Verdict.FAIL in verdicts:
            sys.exit(1)

    def _drill(self, number: PhoneNumber) -> str:
        with org_scope(number.org_id):
            subject = subject_of(number)
        self.stdout.write(f"{number.org.name}, {number.number} ({number.get_mode_display()})")
        checks = checks_of(subject)
        with org_scope(number.org_id):
            keep_result(number, checks)
        for check in checks:
            self.stdout.write(f"  {check.verdict.upper():<5} {check.name}: {check.said}")
        return worst(checks)
