from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands import migrate

from voxanne.tenancy import bound_role
from voxanne.tenancy.turns import one_set_up


class Command(migrate.Command):
    help = "Migrates as the owning role, then lets the serving role use what is there."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.set_defaults(database="owner")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["database"] != "owner":
            super().handle(*args, **options)
            return
        with one_set_up("owner", self.stderr.write):
            bound_role.ensure_role()
            super().handle(*args, **options)
            bound_role.grant_rights()
