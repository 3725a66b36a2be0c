"""A row of any model of a clinic's, made from its fields alone, so that new tables are tested without being named."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, time, timedelta
from itertools import count
from typing import Any

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import models

from bookings.models import Appointment
from messaging.models import Contact
from voxanne.tenancy.models import Organization, User

_serial = count(1)
START = datetime(2030, 1, 7, 9, tzinfo=UTC)


def clinic_models() -> list[type[models.Model]]:
    """Every model whose rows name a clinic."""
    return [model for model in apps.get_models() if any(field.name == "org" for field in model._meta.fields)]


def _together(model: type[models.Model]) -> dict[str, Any]:
    """Columns that the database holds to more than their type; all others are filled in from it."""
    if model is Appointment:
        return {"overlaps_knowingly": True}
    if model is Contact:
        return {"email": f"person-{next(_serial)}@example.com"}
    return {}


def make_row(model: type[models.Model], org: Organization, **known: Any) -> Any:
    """One more row of ``model`` at ``org``, with whatever rows it leans on. Inside a scope that allows it."""
    values: dict[str, Any] = {"org": org, **_together(model), **known}
    moment = START + timedelta(days=next(_serial))
    for field in model._meta.concrete_fields:
        if field.name in values or field.primary_key or not _needs_value(field):
            continue
        # Later columns get later moments, save where one must not lie after another.
        moment += timedelta(minutes=30)
        values[field.name] = _value(field, org, moment)
    if model is Appointment:
        values |= {"blocked_from": values["starts_at"], "blocked_until": values["ends_at"]}
    return model._default_manager.create(**values)


def _needs_value(field: Any) -> bool:
    return not (field.null or field.has_default() or getattr(field, "auto_now", False)
                or getattr(field, "auto_now_add", False))  # fmt: skip


def _value(field: Any, org: Organization, moment: datetime) -> Any:
    serial = next(_serial)
    if field.is_relation:
        return _related(field.related_model, org, serial)
    if field.choices:
        return field.choices[0][0]
    if isinstance(field, ArrayField):
        return []
    makers: dict[type[Any], Any] = {
        models.DateTimeField: moment,
        models.DateField: moment.date(),
        models.TimeField: time(8 + serial % 4, serial % 60),
        models.UUIDField: uuid.uuid4(),
        models.JSONField: {},
        models.BooleanField: False,
        models.IntegerField: serial % 100,
        models.CharField: f"{serial:06d}"[-(field.max_length or 6) :],
        models.TextField: f"text {serial}",
        models.BinaryField: b"\x00",
    }
    return next(made for kind, made in makers.items() if isinstance(field, kind))


def _related(model: type[models.Model], org: Organization, serial: int) -> Any:
    if model is User:
        return User.objects.create(username=f"person-{serial}")
    return make_row(model, org)
