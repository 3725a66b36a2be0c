"""Twilio's published vector, and what is no signature at all."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from pytest_django import Settings

from telephony.twilio.signature import is_signed

# Twilio, "Webhooks security": its example of a request, and the signature that it prints for it.
TOKEN = "12345"
PATH = "/myapp.php?foo=1&bar=2"
FORM = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}
SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="


@pytest.fixture(autouse=True)
def published_address(settings: Settings) -> None:
    settings.BACKEND_URL = "https://mycompany.com"


def request(signature: str, form: dict[str, str] | None = None, path: str = PATH, **more: str) -> HttpRequest:
    body = urlencode(FORM if form is None else form)
    headers = {"X-Twilio-Signature": signature, **more}
    kind = "application/x-www-form-urlencoded"
    return RequestFactory().post(path, body, content_type=kind, headers=headers)


def test_the_published_example_is_signed() -> None:
    assert is_signed(request(SIGNATURE), TOKEN)


def test_no_host_header_changes_what_was_signed() -> None:
    assert is_signed(request(SIGNATURE, Host="elsewhere.example"), TOKEN)


@pytest.mark.parametrize(
    ("form", "path", "token"),
    [
        ({**FORM, "Digits": "1235"}, PATH, TOKEN),
        ({**FORM, "More": "1"}, PATH, TOKEN),
        ({name: value for name, value in FORM.items() if name != "Digits"}, PATH, TOKEN),
        (FORM, "/myapp.php?foo=1&bar=3", TOKEN),
        (FORM, "/myapp.php?bar=2&foo=1", TOKEN),
        (FORM, PATH, "12346"),
        (FORM, PATH, ""),
    ],
)
def test_whatever_differs_from_it_is_not_signed(form: dict[str, str], path: str, token: str) -> None:
    assert not is_signed(request(SIGNATURE, form, path), token)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        " ",
        SIGNATURE[:-1],
        SIGNATURE + "=",
        SIGNATURE * 3,
        SIGNATURE.lower(),
        "é" * 28,
        "\x80",
        "0" * 100_000,
    ],
    ids=["none", "blank", "short", "long", "thrice", "lower case", "accented", "no text", "huge"],
)
def test_a_signature_that_does_not_fit_is_refused_without_a_fault(signature: str) -> None:
    assert not is_signed(request(signature), TOKEN)
