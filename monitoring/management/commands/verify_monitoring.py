from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from monitoring.verification import verify_sentry, verify_slack


class Command(BaseCommand):
    help = "Sends one test event through Sentry and Slack and says what arrived; exits 1 if one did not."

    def handle(self, *args: Any, **options: Any) -> None:
        arrivals = [verify_sentry(), verify_slack()]
        for arrival in arrivals:
            word = "arrived" if arrival.arrived else "DID NOT ARRIVE"
            self.stdout.write(f"{arrival.service:<8}{word} at {arrival.where}: {arrival.seen}")
        if not all(arrival.arrived for arrival in arrivals):
            sys.exit(1)
