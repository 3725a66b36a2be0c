from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from telephony.asked_for import add_org_option, clinics_asked_for
from telephony.tool_chain.phone_number_checks import check_numbers
from telephony.tool_chain.told import tell_findings


class Command(BaseCommand):
    help = (
        "Checks that every number leads to exactly one clinic and, where the provider can be asked, exists there. "
        "PASS, WARN or FAIL each, with what to do; exits 1 on a FAIL."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_org_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        clinics = clinics_asked_for(options["org"])
        tell_findings(self, check_numbers(clinics).items())
