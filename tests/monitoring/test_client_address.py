from __future__ import annotations

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from monitoring.client_address import UNKNOWN_ADDRESS, client_address

PROXY = "10.0.0.1"


def seen(forwarded: str | None, direct: str = PROXY) -> str:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client_address(RequestFactory().get("/", REMOTE_ADDR=direct, headers=headers))


def test_without_a_proxy_the_header_is_anyones_word(settings: Settings) -> None:
    settings.TRUSTED_PROXY_COUNT = 0
    assert seen("203.0.113.7") == PROXY


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (1, "203.0.113.7", "203.0.113.7"),
        (1, "6.6.6.6, 203.0.113.7", "203.0.113.7"),
        (2, "6.6.6.6, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        (2, "203.0.113.7", PROXY),
        (1, "", PROXY),
        (1, None, PROXY),
        (1, "unknown", PROXY),
        (1, "<script>", PROXY),
        (1, "203.0.113.7:4711", "203.0.113.7"),
        (1, "[2001:DB8::1]:4711", "2001:db8::1"),
        (1, "2001:0db8:0:0::1", "2001:db8::1"),
        (1, "::ffff:203.0.113.7", "203.0.113.7"),
    ],
)
def test_as_many_hops_are_believed_as_proxies_are_ours(
    settings: Settings, proxies: int, forwarded: str | None, expected: str
) -> None:
    settings.TRUSTED_PROXY_COUNT = proxies
    assert seen(forwarded) == expected


@pytest.mark.parametrize("direct", ["", "unix:", "junk"])
def test_a_caller_without_an_address_has_one_for_counting(settings: Settings, direct: str) -> None:
    settings.TRUSTED_PROXY_COUNT = 0
    assert seen(None, direct) == UNKNOWN_ADDRESS
