from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from voxanne.runtime import services_command
from voxanne.runtime.faults import RuntimeFault


class Command(BaseCommand):
    help = services_command.HELP
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        services_command.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            services_command.perform(options["action"], options["servers"], self.stdout.write)
        except RuntimeFault as fault:
            raise CommandError(str(fault)) from fault
