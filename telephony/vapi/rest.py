"""Vapi's REST interface: tools, assistants and phone numbers are read, made, changed and removed, calls listed.

Source: Vapi's OpenAPI document. A list has no cursor and is paged by ``createdAt``. Nothing there has an
idempotency key, so only what may be repeated (GET, PATCH) is tried again, and never a POST: whoever lost the
answer to one looks for what it made before making another.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import requests
from django.conf import settings

from monitoring.breaker import CircuitOpen, Service, guarded, is_outage_status
from monitoring.masking import mask_text
from voxanne.outgoing import keep_proxies
from voxanne.tenancy.scope import insist_on_no_scope

TOOL, ASSISTANT, PHONE_NUMBER, CALL = "tool", "assistant", "phone-number", "call"

REPEATABLE = ("GET", "PATCH")
MOST_TRIES = 3
FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 2.0
PAGE_SIZE = 1000
MOST_PAGES = 50
LONGEST_REASON = 300

Record = dict[str, Any]


class VapiFault(RuntimeError):
    """Vapi refused, failed or could not be reached; the message is a sentence for operators.

    ``outage`` where Vapi itself failed; ``unsure`` where it may have done what was asked all the same.
    """

    def __init__(
        self, message: str, *, status: int | None = None, outage: bool = False, unsure: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.outage = outage
        self.unsure = unsure


class Vapi:
    """One errand at Vapi, on one kept connection. Not shared between threads.

    ``timeout``: seconds to connect and to answer; ``VAPI_TIMEOUT`` where none is given.
    """

    def __init__(self, tries: int = MOST_TRIES, timeout: tuple[float, float] | None = None) -> None:
        self._tries = tries
        self._timeout = timeout or settings.VAPI_TIMEOUT
        self._session = requests.Session()
        keep_proxies(self._session, settings.VAPI_API_BASE_URL)

    def find(self, kind: str, record_id: str) -> Record | None:
        """The record with this id; None when Vapi has none. Raises VapiFault."""
        try:
            return self._record("GET", _path(kind, record_id))
        except VapiFault as fault:
            if fault.status == 404:
                return None
            raise

    def every(self, kind: str) -> list[Record]:
        """All records of a kind, newest first. Raises VapiFault, also when there is no end to them."""
        found: dict[str, Record] = {}
        query: dict[str, Any] = {"limit": PAGE_SIZE}
        for _ in range(MOST_PAGES):
            page = self.page(kind, query)
            fresh = [record for record in page if record.get("id") not in found]
            found |= {record["id"]: record for record in fresh}
            if len(page) < PAGE_SIZE or not fresh:
                return list(found.values())
            # Records of one instant may lie on both sides of a page's end, hence "less or equal".
            query["createdAtLe"] = page[-1]["createdAt"]
        raise VapiFault(f"Vapi lists more than {PAGE_SIZE * MOST_PAGES} {kind} records.")

    def page(self, kind: str, query: Mapping[str, Any]) -> list[Record]:
        """One page of a kind's records, newest first. Raises VapiFault."""
        listed = self._answered("GET", f"/{kind}", query=query)
        if not isinstance(listed, list):
            raise VapiFault(f"Vapi answered a list of {kind} records with something else.")
        return [record for record in listed if isinstance(record, dict)]

    def create(self, kind: str, body: Mapping[str, Any]) -> Record:
        """Makes a record. Raises VapiFault; when that is ``unsure``, look before making another."""
        return self._record("POST", f"/{kind}", body)

    def change(self, kind: str, record_id: str, body: Mapping[str, Any]) -> Record:
        """Replaces the members named in ``body``. Raises VapiFault."""
        return self._record("PATCH", _path(kind, record_id), body)

    def remove(self, kind: str, record_id: str) -> None:
        """Removes a record; one that is gone already is no fault. Raises VapiFault."""
        try:
            self._answered("DELETE", _path(kind, record_id))
        except VapiFault as fault:
            if fault.status != 404:
                raise

    def _record(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Record:
        answer = self._answered(method, path, body)
        if not isinstance(answer, dict) or not answer.get("id"):
            raise VapiFault(f"Vapi answered {method} {path} with something else than a record.", unsure=True)
        return answer

    def _answered(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        """The answer's JSON; what may be repeated is, while Vapi is busy or failing."""
        tries = self._tries if method in REPEATABLE else 1
        for number in range(1, tries + 1):
            try:
                response = self._send(method, path, body, query)
            except VapiFault as fault:
                if not fault.outage or number == tries:
                    raise
                time.sleep(_wait(number, None))
                continue
            if not is_outage_status(response.status_code) or number == tries:
                return _read(response, method, path)
            time.sleep(_wait(number, response.headers.get("Retry-After")))
        raise AssertionError("the last try returns or raises")

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, query: Mapping[str, Any] | None
    ) -> requests.Response:
        insist_on_no_scope("Vapi")
        if not settings.VAPI_API_KEY:
            raise VapiFault("VAPI_API_KEY is not set: Vapi cannot be asked anything.")
        try:
            with guarded(Service.VAPI_API, None):
                response = self._session.request(
                    method,
                    f"{settings.VAPI_API_BASE_URL}{path}",
                    json=body,
                    params=query,
                    headers={"Authorization": f"Bearer {settings.VAPI_API_KEY}"},
                    timeout=self._timeout,
                    allow_redirects=False,
                )
                if is_outage_status(response.status_code):
                    raise _Failing(response)
        except _Failing as failing:
            return failing.response
        except CircuitOpen as error:
            raise VapiFault(str(error)) from error
        except requests.RequestException as error:
            # Refused at the door, nothing was sent; after that nobody knows what became of it.
            unsure = method == "POST" and not isinstance(error, requests.exceptions.ConnectTimeout)
            raise VapiFault(
                f"Vapi could not be reached at {settings.VAPI_API_BASE_URL} ({type(error).__name__}).",
                outage=True,
                unsure=unsure,
            ) from error
        return response


class _Failing(Exception):
    """Carries an answer that shows Vapi failing past the breaker, which counts it."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def _path(kind: str, record_id: str) -> str:
    return f"/{kind}/{quote(record_id, safe='')}"


def _wait(number: int, retry_after: str | None) -> float:
    """Seconds before the next try: Vapi's own wish where it has one, but never long."""
    if retry_after and retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after), LONGEST_WAIT_SECONDS)
    return float(min(FIRST_WAIT_SECONDS * 2 ** (number - 1), LONGEST_WAIT_SECONDS))


def _read(response: requests.Response, method: str, path: str) -> Any:
    status = response.status_code
    if status >= 300:
        raise VapiFault(
            f"Vapi answered {status} to {method} {path}: {_reason(response)}",
            status=status,
            outage=is_outage_status(status),
            unsure=method == "POST" and status >= 500,
        )
    try:
        return response.json() if response.content else {}
    except ValueError as error:
        raise VapiFault(f"Vapi answered {method} {path} with no JSON.", unsure=True) from error


def _reason(response: requests.Response) -> str:
    """Vapi's own words, ``message`` being a sentence or a list of them."""
    try:
        told = response.json().get("message", "")
    except (ValueError, AttributeError):
        told = ""
    sentence = "; ".join(map(str, told)) if isinstance(told, list) else str(told)
    return mask_text(sentence)[:LONGEST_REASON] or "no reason given."
