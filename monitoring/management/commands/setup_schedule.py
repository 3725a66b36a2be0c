from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from monitoring.schedule import write_schedule


class Command(BaseCommand):
    help = "Writes the periodic work into beat's tables (each migrate does it too)."

    def handle(self, *args: Any, **options: Any) -> None:
        for title in write_schedule():
            self.stdout.write(title)
