"""Buttons in a list's rows: each opens the dialog of an act, on rows where the act makes sense, for those who may."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from voxanne.staff import people


@dataclass(frozen=True, slots=True)
class RowButton:
    """``act`` names the page's action; ``fits`` says whether it makes sense for a row as it stands."""

    act: str
    text: str
    permission: str
    fits: Callable[[Any], bool]


def buttons(request: HttpRequest, kind: str, choices: Sequence[RowButton]) -> Callable[[Any], SafeString]:
    """A column of buttons for rows of ``kind`` (app_model), as this person may use them."""

    def acts(row: Any) -> SafeString:
        offered = [
            (reverse(f"admin:{kind}_{choice.act}", args=(row.pk,)), choice.text)
            for choice in choices
            if choice.fits(row) and people.holds(request, choice.permission, row)
        ]
        return format_html_join("", "{}", ((_button(url, text),) for url, text in offered)) or SafeString("")

    acts.short_description = "Actions"  # type: ignore[attr-defined]
    return acts


def _button(url: str, text: str) -> SafeString:
    return format_html(
        '<a class="staff-row-act" href="{0}" role="button" hx-get="{0}" hx-target="#modal-content" hx-select="#dialog"'
        ' x-on:htmx:after-on-load="openModal = true">{1}</a>',
        url,
        text,
    )
