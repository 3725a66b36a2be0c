from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DEFAULT_DB_ALIAS

from voxanne.demo.at_providers import is_at_sandbox, register
from voxanne.demo.clinics import refuse_in_production, seed
from voxanne.tenancy.turns import one_set_up


class Command(BaseCommand):
    help = (
        "Makes the demo clinics, or completes them; running it again changes nothing. Refuses in production."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--json", action="store_true", help="Print one JSON object with every credential."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_in_production()
        with one_set_up(DEFAULT_DB_ALIAS, self.stderr.write):
            seeded = seed()
            if is_at_sandbox():
                register()
        if options["json"]:
            self.stdout.write(json.dumps(seeded, indent=2))
            return
        for clinic in seeded["clinics"]:
            self.stdout.write(
                f"{clinic['name']}: {clinic['number']}, sign in as {clinic['staff'][0]['username']}"
            )
