"""Tables are made and changed by the owning role alone; the serving role only reads and writes rows."""

from __future__ import annotations

from typing import Any


class OwnerMigrates:
    """Database router: migrations run on the ``owner`` connection."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == "owner"
