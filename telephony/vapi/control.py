"""Vapi's live call control: a POST to the address that the call's own messages name.

That address is a capability: whoever has it commands the call. It is used only when it is one of Vapi's
(https, ``*.vapi.ai``), or outside production of the origin in ``VAPI_API_BASE_URL``; else a forged webhook
could make us call any server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings

VAPI_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+vapi\.ai")
# Printable ASCII without the backslash: an address that could be read in two ways is not used at all.
PLAIN_ADDRESS = re.compile(r"[!-\[\]-~]+")


class ControlFault(RuntimeError):
    """The command was not carried out; ``permanent`` when trying again is useless."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


def is_allowed(address: str) -> bool:
    """Whether we may send anything to this address.

    ``https://evil.example\\.vapi.ai`` has the host ``evil.example\\.vapi.ai`` for urllib and ``evil.example`` for
    the client that connects, hence the narrow forms.
    """
    if not PLAIN_ADDRESS.fullmatch(address):
        return False
    try:
        asked, ours = urlsplit(address), urlsplit(settings.VAPI_API_BASE_URL)
        host, port = asked.hostname or "", asked.port
    except ValueError:
        return False
    if asked.username or asked.password:
        return False
    if asked.scheme == "https" and VAPI_HOST.fullmatch(host) and port in (None, 443):
        return True
    return not settings.PRODUCTION and (asked.scheme, asked.netloc) == (ours.scheme, ours.netloc)


def send(address: str, body: Mapping[str, Any]) -> None:
    """Sends one command. Raises ControlFault; 404 and 410 mean that the call has ended."""
    if not is_allowed(address):
        raise ControlFault("The call's control address is not one of Vapi's.", permanent=True)
    try:
        response = requests.post(address, json=body, timeout=settings.VAPI_TIMEOUT, allow_redirects=False)
    except requests.RequestException as error:
        raise ControlFault(f"Vapi could not be reached ({type(error).__name__}).", permanent=False) from error
    if response.status_code >= 300:
        permanent = response.status_code < 500 and response.status_code != 429
        raise ControlFault(f"Vapi answered {response.status_code}.", permanent=permanent)
