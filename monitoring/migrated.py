"""Whether the database has every migration that this code brings. Cheap: names are compared, nothing is imported."""

from __future__ import annotations

import importlib.util
import pkgutil
import time

from django.apps import apps
from django.db import connection
from django.db.migrations.loader import MigrationLoader

ASK_AGAIN_SECONDS = 1.0


class MigratedCheck:
    """True once every migration is applied, and without asking from then on: code only goes forward."""

    def __init__(self) -> None:
        self._complete = False
        self._asked_at: float | None = None

    def __call__(self) -> bool:
        """Asks the database at most once a second until the answer is yes. Raises DatabaseError."""
        if self._complete:
            return True
        now = time.monotonic()
        if self._asked_at is not None and now - self._asked_at < ASK_AGAIN_SECONDS:
            return False
        self._complete = migrations_on_disk() <= applied_migrations()
        self._asked_at = now
        return self._complete


def applied_migrations() -> set[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations")
        return set(cursor.fetchall())


def migrations_on_disk() -> set[tuple[str, str]]:
    """(app label, migration name) of every installed app."""
    return {(app.label, name) for app in apps.get_app_configs() for name in _names(app.label)}


def _names(app_label: str) -> list[str]:
    module_name, _ = MigrationLoader.migrations_module(app_label)
    spec = importlib.util.find_spec(module_name) if module_name else None
    if spec is None or spec.submodule_search_locations is None:
        return []
    return [
        module.name
        for module in pkgutil.iter_modules(spec.submodule_search_locations)
        if not module.ispkg and module.name[0] not in "_~"
    ]
