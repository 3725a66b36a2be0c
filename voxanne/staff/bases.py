"""The theme's classes, named once: it ships no types, so the checker reads Django's own in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django import forms
    from django.contrib import admin
    from django.http import HttpRequest

    ThemedAdmin = admin.ModelAdmin[Any]
    ThemedStackedInline = admin.StackedInline[Any, Any]
    ThemedTabularInline = admin.TabularInline[Any, Any]
    RelatedFilter = admin.RelatedFieldListFilter
    ChoicesFilter = admin.ChoicesFieldListFilter
    DropdownFilter = admin.SimpleListFilter
    ThemedFormSet = forms.BaseInlineFormSet[Any, Any, Any]

    class DialogForm(forms.Form):
        """A form inside a dialog; ``object_id`` names the row it asks about."""

        request: HttpRequest
        object_id: str | None

else:
    from unfold.admin import ModelAdmin as ThemedAdmin
    from unfold.admin import StackedInline as ThemedStackedInline
    from unfold.admin import TabularInline as ThemedTabularInline
    from unfold.contrib.filters.admin import ChoicesDropdownFilter as ChoicesFilter
    from unfold.contrib.filters.admin import DropdownFilter
    from unfold.contrib.filters.admin import RelatedDropdownFilter as RelatedFilter
    from unfold.forms import BaseDialogForm as DialogForm
    from unfold.forms import PaginationInlineFormSet as ThemedFormSet

__all__ = [
    "ChoicesFilter",
    "DialogForm",
    "DropdownFilter",
    "RelatedFilter",
    "ThemedAdmin",
    "ThemedFormSet",
    "ThemedStackedInline",
    "ThemedTabularInline",
]
