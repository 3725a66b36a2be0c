"""Twilio's list pages: ``PageSize``, ``Page``, ``PageToken`` and relative ``…_uri`` members."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode

from voxanne.sandbox.twilio.errors import TwilioError

DEFAULT_PAGE_SIZE = 50
LARGEST_PAGE_SIZE = 1000


class Listed(Protocol):
    sid: str

    def resource(self) -> dict[str, Any]: ...


T = TypeVar("T", bound=Listed)


def page(path: str, query: dict[str, str], items: list[T], name: str) -> dict[str, Any]:
    """One page of ``items`` (newest first) under ``name``. Raises TwilioError 20001 for a bad page size."""
    size = _whole(query.get("PageSize"), DEFAULT_PAGE_SIZE)
    number = _whole(query.get("Page"), 0)
    if not 1 <= size <= LARGEST_PAGE_SIZE or number < 0:
        raise TwilioError(20001, "PageSize lies between 1 and 1000")
    start = _start(items, query.get("PageToken"), number * size)
    chosen = items[start : start + size]
    filters = {key: value for key, value in query.items() if key not in ("Page", "PageSize", "PageToken")}
    more = start + size < len(items)

    def address(page_number: int, token: str | None = None) -> str:
        members = {**filters, "PageSize": str(size), "Page": str(page_number)}
        return f"{path}?{urlencode({**members, 'PageToken': token} if token else members)}"

    return {
        name: [item.resource() for item in chosen],
        "end": number * size + max(len(chosen) - 1, 0),
        "first_page_uri": address(0),
        "next_page_uri": address(number + 1, f"PA{chosen[-1].sid}") if more else None,
        "page": number,
        "page_size": size,
        "previous_page_uri": address(number - 1) if number > 0 else None,
        "start": number * size,
        "uri": f"{path}?{urlencode({**query, 'PageSize': str(size), 'Page': str(number)})}",
    }


def within(query: dict[str, str], name: str) -> Callable[[float | None], bool]:
    """The filter a list request asks for on a date: ``Name`` that UTC day, ``Name>`` from, ``Name<`` until.

    A row without that date matches no filter.
    """
    low, high = _moment(query.get(f"{name}>")), _moment(query.get(f"{name}<"))
    day = _moment(query.get(name))

    def matches(moment: float | None) -> bool:
        if low is None and high is None and day is None:
            return True
        if moment is None:
            return False
        if day is not None and not day - day % 86_400 <= moment < day - day % 86_400 + 86_400:
            return False
        return (low is None or moment >= low) and (high is None or moment <= high)

    return matches


def _start(items: list[T], token: str | None, otherwise: int) -> int:
    if token is None:
        return otherwise
    after = token.removeprefix("PA")
    return next((index + 1 for index, item in enumerate(items) if item.sid == after), len(items))


def _moment(text: str | None) -> float | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise TwilioError(20001, "A date filter is not an ISO 8601 date") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _whole(text: str | None, default: int) -> int:
    if text is None:
        return default
    try:
        return int(text)
    except ValueError as error:
        raise TwilioError(20001, "A page member is not a whole number") from error
