"""List filters that keep to the person's clinics and to whole local days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from django import forms
from django.contrib.admin import FieldListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import formats

from voxanne.staff.bases import ChoicesFilter, RelatedFilter
from voxanne.staff.clock import within_days

MOST_CHOICES = 200


class WholeDays(FieldListFilter):
    """From one day to another, both included, each beginning at the clinic's own midnight.

    (The theme's own range filter ends at the last day's first instant, in UTC, and reads dates the American way.)
    """

    template = "staff/days_filter.html"

    def __init__(
        self, field: Any, request: HttpRequest, params: Any, model: Any, model_admin: Any, field_path: str
    ) -> None:
        self.given: dict[str, str] = {}
        self.names = (f"{field_path}_from", f"{field_path}_to")
        super().__init__(field, request, params, model, model_admin, field_path)
        self.given = {name: _last(self.used_parameters.get(name)) for name in self.names}
        self.used_parameters = {**self.given}

    def expected_parameters(self) -> list[str | None]:
        return list(self.names)

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = (read_day(self.given[name]) for name in self.names)
        if first is None and last is None:
            return queryset
        return queryset.filter(within_days(request, self.field_path, first, last))

    def choices(self, changelist: Any) -> Iterator[Any]:
        yield {"form": DaysForm(self.names, self.given)}


def _last(given: Any) -> str:
    values = given if isinstance(given, list) else [given]
    return str(values[-1] or "")


PLAUSIBLE_YEARS = range(2000, 2101)


def read_day(text: str) -> date | None:
    """A day as people here write it, or as ISO 8601; None when blank.

    Raises IncorrectLookupParameters, at which the list starts afresh.
    """
    if not text:
        return None
    field = forms.DateField(input_formats=["%Y-%m-%d", *formats.get_format_lazy("DATE_INPUT_FORMATS")])
    try:
        day: date = field.clean(text.strip())
    except forms.ValidationError as error:
        raise IncorrectLookupParameters(f"{text!r} is not a date such as 24/11/2026.") from error
    if day.year not in PLAUSIBLE_YEARS:
        raise IncorrectLookupParameters("Give a year between 2000 and 2100.")
    return day


class DaysForm(forms.Form):
    """Two day fields of the browser's own kind, labelled."""

    def __init__(self, names: tuple[str, str], data: dict[str, str]) -> None:
        super().__init__({name: _iso(value) for name, value in data.items()})
        for name, label in zip(names, ("From", "To"), strict=True):
            widget = forms.DateInput(attrs={"type": "date", "class": "staff-day"}, format="%Y-%m-%d")
            self.fields[name] = forms.DateField(label=label, required=False, widget=widget)


def _iso(text: str) -> str:
    day = read_day(text)
    return day.isoformat() if day else ""


class Scoped(RelatedFilter):
    """Choices are the rows that the related page itself would list for this person, and no others."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        related = model_admin.admin_site.get_model_admin(field.remote_field.model)
        rows: QuerySet[models.Model] = related.get_queryset(request).order_by(*related.get_ordering(request))
        return [(str(row.pk), str(row)) for row in rows[:MOST_CHOICES]]


class OfClinic(Scoped):
    """By clinic; shown to those who see more than one."""

    def has_output(self) -> bool:
        return len(self.lookup_choices) > 1


class OfChoices(ChoicesFilter):
    """One of a field's fixed choices."""


class OfNumber(FieldListFilter):
    """An exact number, typed in, such as a provider's error code."""

    template = "staff/days_filter.html"

    def __init__(
        self, field: Any, request: HttpRequest, params: Any, model: Any, model_admin: Any, field_path: str
    ) -> None:
        self.name = field_path
        super().__init__(field, request, params, model, model_admin, field_path)
        self.given = _last(self.used_parameters.get(field_path))
        self.used_parameters = {field_path: self.given}

    def expected_parameters(self) -> list[str | None]:
        return [self.name]

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        given = self.given.strip()
        if not given:
            return queryset
        if not given.isdecimal() or len(given) > 9:
            raise IncorrectLookupParameters(f"{given!r} is not a number.")
        return queryset.filter(**{self.field_path: int(given)})

    def choices(self, changelist: Any) -> Iterator[Any]:
        form = forms.Form({self.name: self.given})
        widget = forms.TextInput(attrs={"inputmode": "numeric", "class": "staff-day"})
        form.fields[self.name] = forms.CharField(label="Exactly", required=False, widget=widget)
        yield {"form": form}
