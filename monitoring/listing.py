"""How many rows a monitoring address lists: ``limit`` in its query."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse

from monitoring.errors import error_response

MOST_LISTED = 500


class LimitUnclear(ValueError):
    """``limit`` is no whole number within bounds; ``response`` says so."""

    @property
    def response(self) -> JsonResponse:
        return error_response(
            400, "invalid_request", f"limit must be a whole number from 1 to {MOST_LISTED}."
        )


def limit_of(request: HttpRequest, default: int) -> int:
    """Raises LimitUnclear."""
    given = request.GET.get("limit", "")
    if not given:
        return default
    if given.isascii() and given.isdecimal() and len(given) <= 4 and 1 <= int(given) <= MOST_LISTED:
        return int(given)
    raise LimitUnclear
