"""The numbers of a Twilio account, as Twilio has them: looked at and changed.

Sources: Twilio's API 2010-04-01, IncomingPhoneNumbers and Accounts; TwiML Bins are served from one host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from twilio.base.exceptions import TwilioRestException, TwilioServiceException

from messaging.providers.twilio.client import Account, client_of
from messaging.providers.twilio.outcomes import code_in, spoken_reason
from monitoring.breaker import CircuitOpen, Service, guarded, is_outage, is_outage_status
from voxanne.tenancy.scope import insist_on_no_scope

# Where one of these is set, Twilio ignores a number's own addresses.
ANSWERED_OTHERWISE = ("voice_application_sid", "trunk_sid", "sms_application_sid")
TWIML_BINS = "https://handler.twilio.com"
MOST_LISTED = 20
MOST_TWIML = 10_000


class NumbersUnavailable(RuntimeError):
    """Twilio could not be asked, or refused; the message is a sentence for operators."""


def at_twilio(account: Account, number: str) -> Any | None:
    """The number as Twilio has it; None where the account does not hold it. Raises NumbersUnavailable."""
    numbers = client_of(account).incoming_phone_numbers
    # Twilio's filter matches parts of numbers, too.
    listed = _asked(lambda: numbers.list(phone_number=number, limit=MOST_LISTED, page_size=MOST_LISTED))
    return next((found for found in listed if found.phone_number == number), None)


def change(account: Account, sid: str, members: Mapping[str, str]) -> Any:
    """Changes these members of a number; the number as it is then. Raises NumbersUnavailable."""
    return _asked(lambda: client_of(account).incoming_phone_numbers(sid).update(**members))


def account_status(account: Account) -> str:
    """``active`` where the credentials are right and the account is in order. Raises NumbersUnavailable."""
    return str(_asked(lambda: client_of(account).api.v2010.accounts(account.sid).fetch()).status)


def answered_otherwise(found: Any) -> str:
    """What else answers the number, as a sentence; blank where nothing does."""
    names = [name for name in ANSWERED_OTHERWISE if getattr(found, name, None)]
    return (
        f"{', '.join(names)} is set at Twilio, so that it ignores these addresses: clear it." if names else ""
    )


def readable_twiml(address: str) -> str | None:
    """The document at a fallback address; None where it cannot be read. Only Twilio's own TwiML Bins are asked, and
    outside production the sandbox: the address is a setting somebody else may have made."""
    insist_on_no_scope("Twilio")
    asked = urlsplit(address)
    origin = f"{asked.scheme}://{asked.netloc}"
    of_sandbox = not settings.PRODUCTION and origin in (settings.SANDBOX_URL, settings.BACKEND_URL)
    if not of_sandbox and origin != TWIML_BINS:
        return None
    try:
        response = requests.post(address, timeout=settings.TWILIO_TIMEOUT, allow_redirects=False)
    except requests.RequestException:
        return None
    return response.text[:MOST_TWIML] if response.status_code == 200 else None


def _asked(question: Callable[[], Any]) -> Any:
    insist_on_no_scope("Twilio")
    try:
        with guarded(Service.TWILIO_API, None, counts=_is_outage):
            return question()
    except CircuitOpen as error:
        raise NumbersUnavailable(str(error)) from error
    except (TwilioRestException, TwilioServiceException) as error:
        raise NumbersUnavailable(
            f"Twilio answered {error.status}: {spoken_reason(code_in(error))}"
        ) from error
    # Whatever else it raised, nothing was changed by asking, and the next run asks again.
    except Exception as error:
        raise NumbersUnavailable(_told(error)) from error


def _status_of_list(error: Exception) -> int | None:
    """A refused list is raised as a bare exception with the answer as its second argument."""
    status = getattr(error.args[1], "status_code", None) if len(error.args) > 1 else None
    return status if isinstance(status, int) else None


def _is_outage(error: Exception) -> bool:
    status = _status_of_list(error)
    return is_outage_status(status) if status is not None else is_outage(error)


def _told(error: Exception) -> str:
    """A sentence."""
    status = _status_of_list(error)
    if status in (401, 403):
        return f"Twilio answered {status}: {spoken_reason(20003)}"
    if status:
        return f"Twilio answered {status}."
    return f"Twilio could not be reached at {settings.TWILIO_API_BASE_URL} ({type(error).__name__})."
