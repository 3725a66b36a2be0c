from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from telephony.asked_for import clinics_asked_for
from telephony.tool_chain.pointing import point_numbers
from telephony.tool_chain.told import add_options, tell


class Command(BaseCommand):
    help = (
        "Points each number at Twilio at us: calls, their fallback, their status, and texts. Running it again "
        "changes nothing. Exits 1 when a clinic could not be finished or needs a person."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        clinics = clinics_asked_for(options["org"])
        reports = point_numbers(clinics, check_only=options["check"])
        tell(self, reports)
