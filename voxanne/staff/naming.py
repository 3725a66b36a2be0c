"""A page is called what its place in the sidebar is called: whoever was told "look under Team" finds Team."""

from __future__ import annotations

from django.apps import apps

from voxanne.staff.theme import sidebar


def name_pages() -> None:
    """Gives every kind of row the name of its place in the sidebar, also those that other packages bring.

    Only what people read changes: migrations know the names that models give themselves.
    """
    for group in sidebar():
        for item in group["items"]:
            if kind := item.get("kind"):
                app_label, _, model_name = kind.rpartition("_")
                apps.get_model(app_label, model_name)._meta.verbose_name_plural = item["title"]
