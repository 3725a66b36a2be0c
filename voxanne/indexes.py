"""An index whose name may be as long as PostgreSQL allows: some names are promised to the outside."""

from __future__ import annotations

from django.db import models


class NamedIndex(models.Index):
    """Django stops at 30 characters for the sake of other databases; PostgreSQL takes 63 bytes."""

    max_name_length = 63
