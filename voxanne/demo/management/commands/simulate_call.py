from __future__ import annotations

from typing import Any

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from voxanne.demo.clinics import CLINICS, refuse_in_production
from voxanne.demo.scenarios import SCENARIOS, Timeline, new_caller
from voxanne.demo.voice import DemoFailed, Voice


class Command(BaseCommand):
    help = "Plays a whole call against the running server, as Vapi and Twilio would. Refuses in production."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--scenario", choices=sorted(SCENARIOS), default="booking")
        parser.add_argument("--clinic", choices=[clinic.slug for clinic in CLINICS], default=CLINICS[0].slug)
        parser.add_argument("--caller", help="The caller's number, E.164; a new fictional one by default.")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_in_production()
        clinic = next(clinic for clinic in CLINICS if clinic.slug == options["clinic"])
        try:
            voice = Voice(
                settings.BACKEND_URL, settings.SANDBOX_URL, clinic, options["caller"] or new_caller(clinic)
            )
            SCENARIOS[options["scenario"]](voice, Timeline(self._write))
        except (DemoFailed, requests.RequestException) as failure:
            raise CommandError(f"The call failed: {failure}") from failure

    def _write(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
