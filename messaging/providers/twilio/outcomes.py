"""What one try at Twilio came to: from its answer, from a delivery receipt, from an exception.

The line that matters runs between *not taken* (may be tried again) and *perhaps taken* (may not: Twilio's
message resource has no idempotency key, so a blind second try is a second text). Where an answer leaves
that open, it counts as lost, and the reconciler asks Twilio.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Any, NamedTuple

import requests
from twilio.base.exceptions import TwilioRestException, TwilioServiceException
from urllib3.exceptions import ConnectTimeoutError

from messaging.providers.answers import TryOutcome
from messaging.providers.twilio.codes import CODES, SMALLEST_CODE, Fault, fault_of_code, spoken_reason

__all__ = [
    "BAD_ENDS",
    "Fault",
    "TryOutcome",
    "Verdict",
    "code_in",
    "fault_of_code",
    "outcome_of_create",
    "outcome_of_exception",
    "outcome_of_receipt",
    "outcome_of_sid",
    "receipt_rank",
    "spoken_reason",
    "verdict_of_exception",
]


class Verdict(NamedTuple):
    """An outcome and whose fault it was; no fault where nothing failed."""

    outcome: TryOutcome
    fault: Fault | None


_ACCEPTED = Verdict(TryOutcome.ACCEPTED, None)
_LOST = Verdict(TryOutcome.LOST, Fault.AMBIGUOUS)

_OF_FAULT = {
    Fault.RECIPIENT: TryOutcome.REFUSED_FOR_GOOD,
    Fault.OPT_OUT: TryOutcome.OPTED_OUT,
    Fault.CONTENT: TryOutcome.REFUSED_FOR_GOOD,
    Fault.ACCOUNT: TryOutcome.REFUSED_FOR_GOOD,
    Fault.TRANSIENT: TryOutcome.REFUSED_FOR_NOW,
    Fault.LIMIT: TryOutcome.REFUSED_FOR_NOW,
    Fault.AMBIGUOUS: TryOutcome.LOST,
}

_OF_BARE_STATUS = {401: Fault.ACCOUNT, 403: Fault.ACCOUNT, 408: Fault.TRANSIENT}
"""4xx answers without a code of Twilio's. By 408 the request never came in whole (RFC 9110, 15.5.9)."""

BAD_ENDS = frozenset({"undelivered", "failed", "canceled"})

_RANKS = {
    "accepted": 10,
    "scheduled": 10,
    "queued": 20,
    "sending": 30,
    "sent": 40,
    "partially_delivered": 50,
    "delivered": 60,
    "undelivered": 60,
    "failed": 60,
    "canceled": 60,
    "read": 70,
}


def outcome_of_create(status: int, code: int | None, has_error_body: bool) -> Verdict:
    """Judge the answer to a request to send.

    `status` is the HTTP status; `code` the code in the body, or whatever the client put in its place;
    `has_error_body` whether the body was an error of Twilio's own making.

    429 was never processed (Twilio's rate limit guide). A 5xx in Twilio's own words says that the text was
    not taken, so it may be tried again; a 5xx without them may come from any proxy on the way, after the
    text was taken. A 4xx goes by its code; one not known is refused for good, for a person to look at.
    """
    twilio_code = code if has_error_body and code is not None and code >= SMALLEST_CODE else None
    if 200 <= status < 300:
        return _ACCEPTED
    if status == 429:
        return Verdict(TryOutcome.REFUSED_FOR_NOW, Fault.LIMIT)
    if status >= 500:
        return _of_server_error(twilio_code)
    if status >= 400:
        return _of_client_error(status, twilio_code)
    if status >= 300:
        # A redirect was not acted on, and the API sends none: the base address is wrong.
        return Verdict(TryOutcome.REFUSED_FOR_GOOD, Fault.ACCOUNT)
    return _LOST


def outcome_of_sid(sid: str | None) -> TryOutcome:
    """Judge a success by the message's SID.

    A success may break off before its body; Twilio's client then gives a message without a SID and raises
    nothing. Such a text is probably on its way, but there is no knowing which one it is: lost, not accepted.
    """
    return TryOutcome.ACCEPTED if sid else TryOutcome.LOST


def outcome_of_receipt(status: str, error_code: int | None) -> Verdict:
    """Judge a delivery receipt.

    Only `undelivered`, `failed` and `canceled` say that a text did not arrive. Of these, REFUSED_FOR_NOW
    means that sending again could help (phone off, congestion, limits); REFUSED_FOR_GOOD that it could not,
    or that nobody knows (unknown codes, and 30410, where the text may have arrived): never resent unasked.
    """
    if status not in BAD_ENDS:
        return _ACCEPTED
    fault = fault_of_code(error_code or 0)
    if fault is Fault.AMBIGUOUS:
        return Verdict(TryOutcome.REFUSED_FOR_GOOD, fault)
    return Verdict(_OF_FAULT[fault], fault)


def receipt_rank(status: str) -> int:
    """Return how far along a text is at this status; 0 for a status not known.

    A receipt is applied only when its rank is higher than that of the last one: they come in any order.
    """
    return _RANKS.get(status, 0)


def outcome_of_exception(error: Exception) -> TryOutcome:
    """Return the outcome of a try that raised `error`; see `verdict_of_exception`."""
    return verdict_of_exception(error).outcome


def verdict_of_exception(error: Exception) -> Verdict:
    """Judge what Twilio's client raised while it tried to send.

    Twilio's exceptions are judged as the answers they stand for. Of the network's, only those that show
    that no request left count as never connected. All others count as lost, whatever they are: also an
    answer that broke off, or that could not be read.
    """
    if isinstance(error, TwilioRestException | TwilioServiceException):
        code = code_in(error)
        return outcome_of_create(error.status, code, code is not None)
    if _nothing_left(error):
        return Verdict(TryOutcome.NEVER_CONNECTED, Fault.TRANSIENT)
    return _LOST


def _of_server_error(code: int | None) -> Verdict:
    if code is None or (code in CODES and fault_of_code(code) is Fault.AMBIGUOUS):
        return _LOST
    return Verdict(TryOutcome.REFUSED_FOR_NOW, Fault.TRANSIENT)


def _of_client_error(status: int, code: int | None) -> Verdict:
    if code is None:
        fault = _OF_BARE_STATUS.get(status, Fault.CONTENT)
    else:
        fault = fault_of_code(code) if code in CODES else Fault.CONTENT
    return Verdict(_OF_FAULT[fault], fault)


def code_in(error: TwilioRestException | TwilioServiceException) -> int | None:
    """Return the code as a number; None where the body held none, or something else in its place."""
    code: Any = error.code
    if isinstance(code, str) and code.isascii() and code.isdecimal():
        code = int(code)
    return code if isinstance(code, int) else None


def _nothing_left(error: Exception) -> bool:
    """Say whether `error` proves that the request was never put on the wire."""
    # Requests' complaints about addresses and headers; one is raised while reading the answer instead.
    if isinstance(error, requests.RequestException) and isinstance(error, ValueError):
        return not isinstance(error, requests.JSONDecodeError)
    return any(
        isinstance(
            cause,
            ConnectTimeoutError | ConnectionRefusedError | socket.gaierror | ssl.SSLCertVerificationError,
        )
        for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an exception of requests' down to the socket's; each layer keeps the next one elsewhere."""
    yield error
    below = (
        error.args[0] if error.args else None,
        getattr(error, "reason", None),
        getattr(error, "original_error", None),
    )
    for cause in below:
        if isinstance(cause, BaseException) and cause is not error:
            yield from _causes(cause)
