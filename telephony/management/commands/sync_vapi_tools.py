from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from telephony.asked_for import clinics_asked_for
from telephony.tool_chain.sync import sync_clinics
from telephony.tool_chain.told import add_options, tell
from telephony.vapi.rest import VapiFault


class Command(BaseCommand):
    help = (
        "Registers or repairs the assistant's tools at Vapi, and the settings of assistants and numbers there. "
        "Running it again changes nothing. Exits 1 when a clinic could not be finished or needs a person."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        clinics = clinics_asked_for(options["org"])
        try:
            reports = sync_clinics(clinics, check_only=options["check"])
        except VapiFault as fault:
            raise CommandError(str(fault)) from fault
        tell(self, reports)
