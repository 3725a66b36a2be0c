from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands import migrate

from voxanne.tenancy import bound_role


class Command(migrate.Command):
    help = "Migrates as the owning role, then lets the serving role use what is there."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database="owner")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["database"] == "owner":
            bound_role.ensure_role()
        super().handle(*args, **options)
        if options["database"] == "owner":
            bound_role.grant_rights()
