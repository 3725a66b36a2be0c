"""The admin site's own addresses and pages: the start page, and what is shut."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path


def prepare_site() -> None:
    """Gives the site its own sign-in and start pages, and shuts the redirect by content type: no row has a public
    page, and the stock view answers 500 to an id that is no UUID."""
    site: Any = admin.site
    site.login_template = "staff/login.html"
    site.index_template = "staff/start.html"
    site.index_title = "Today"
    site.empty_value_display = "–"
    site.extra_urls = _extra_urls


def _extra_urls() -> list[URLPattern]:
    return [path("r/<path:anything>", admin.site.admin_view(_nowhere), name="view_on_site")]


def _nowhere(request: HttpRequest, anything: str) -> HttpResponse:
    raise Http404
