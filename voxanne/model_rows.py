"""Models read by prepared, binary statements: the columns to ask for, and the instance that a row of them is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, models

Row = TypeVar("Row", bound=models.Model)


def columns_of(model: type[models.Model], table: str = "") -> str:
    """All columns of ``model`` as they stand behind SELECT or RETURNING, of the table of that name or alias."""
    prefix = f"{table}." if table else ""
    return ", ".join(f"{prefix}{field.column}" for field in _fields(model))


def instance_of(model: type[Row], values: Sequence[Any]) -> Row:
    """The instance whose columns, in the order of ``columns_of``, hold ``values``, fetched in binary form."""
    fields = _fields(model)
    read = [_read(field, value) for field, value in zip(fields, values, strict=True)]
    return model.from_db(DEFAULT_DB_ALIAS, [field.attname for field in fields], read)


@lru_cache(maxsize=64)
def _fields(model: type[models.Model]) -> tuple[models.Field[Any, Any], ...]:
    return tuple(model._meta.concrete_fields)


def _read(field: models.Field[Any, Any], value: Any) -> Any:
    if isinstance(field, models.JSONField):
        return value
    convert = getattr(field, "from_db_value", None)
    return value if convert is None else convert(value, None, connection)
