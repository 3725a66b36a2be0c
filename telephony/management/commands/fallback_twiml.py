"""``manage.py fallback_twiml``: the TwiML to keep at Twilio for when nothing of ours answers."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from telephony.asked_for import add_org_option, numbers_asked_for
from telephony.missed_calls.lines import line_from
from telephony.twilio.voice_answers import static_ring
from voxanne.tenancy.scope import org_scope


class Command(BaseCommand):
    help = (
        "Prints a TwiML document for each number. Keep it in a TwiML Bin at Twilio and set the bin's address as the "
        "number's voice fallback: Twilio rings the clinic by it when we do not answer."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_org_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        for number in numbers_asked_for(options["org"]):
            with org_scope(number.org_id):
                line = line_from(number, number.org.country)
            self.stdout.write(f"{number.org.name}, {number.number}")
            if line.clinic_line:
                self.stdout.write(f"  {static_ring(line.clinic_line)}")
            else:
                self.stdout.write("  no line to ring: enter the clinic's own under Phone numbers")
