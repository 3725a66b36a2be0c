"""Every address of the staff pages, from the pages that are registered: nobody keeps a list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver, reverse


def pages() -> list[Any]:
    """Every registered page (ModelAdmin)."""
    return list(admin.site._registry.values())


def patterns_of(page: Any) -> list[str]:
    """The names of a page's addresses."""
    return [pattern.name for pattern in page.get_urls() if getattr(pattern, "name", None)]


def list_addresses(page: Any) -> list[str]:
    """Addresses of a page that name no row: its list, its add form."""
    return [reverse(f"admin:{name}") for name in patterns_of(page) if _takes_no_id(page, name)]


def row_addresses(page: Any, row: Model) -> list[str]:
    """Addresses of a page that name this row: change, history, delete and every act."""
    return [
        reverse(f"admin:{name}", args=(row.pk,)) for name in patterns_of(page) if not _takes_no_id(page, name)
    ]


def _takes_no_id(page: Any, name: str) -> bool:
    pattern = next(pattern for pattern in page.get_urls() if pattern.name == name)
    return not pattern.pattern.converters


def acts_of(page: Any) -> list[str]:
    """The names of a page's acts on one row."""
    return [*page._extract_action_names(page.actions_detail), *page._extract_action_names(page.actions_row)]


def rows_with_pages(rows: Iterable[Model]) -> Iterator[tuple[Any, Model]]:
    """Each row that has a page of its own, with that page."""
    for row in rows:
        page = admin.site._registry.get(type(row))
        if page is not None:
            yield page, row


def site_addresses() -> list[str]:
    """The site's own addresses without parameters: start page, password change, search and the like."""
    resolver = next(
        entry
        for entry in get_resolver().url_patterns
        if isinstance(entry, URLResolver) and entry.app_name == "admin"
    )
    own = [
        entry
        for entry in resolver.url_patterns
        if isinstance(entry, URLPattern) and not entry.pattern.regex.groups
    ]
    return [reverse(f"admin:{entry.name}") for entry in own if entry.name not in (None, "logout")]
