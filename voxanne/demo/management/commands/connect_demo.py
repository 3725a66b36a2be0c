from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from telephony.tool_chain.report import ClinicReport, summary, table
from telephony.vapi.rest import VapiFault
from voxanne.demo.at_providers import connect, is_at_sandbox, register
from voxanne.demo.clinics import refuse_in_production
from voxanne.tenancy.turns import one_set_up


class Command(BaseCommand):
    help = (
        "Makes the demo clinics' assistants and numbers at the running sandbox, syncs their tools and points "
        "their numbers at us. Refuses in production, and where a provider is not the sandbox."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_in_production()
        if not is_at_sandbox():
            raise CommandError("Vapi or Twilio is not the sandbox here: demo clinics stay out of it.")
        with one_set_up(DEFAULT_DB_ALIAS, self.stderr.write):
            reports = self._connect()
        for line in table(reports):
            self.stdout.write(line)
        self.stdout.write(summary(reports))

    def _connect(self) -> list[ClinicReport]:
        if not register():
            raise CommandError("The sandbox does not run.")
        try:
            return connect()
        except VapiFault as fault:
            raise CommandError(str(fault)) from fault
