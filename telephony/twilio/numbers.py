"""Where Twilio sends what happens on a clinic's numbers: compared with our own addresses, and pointed there.

Sources: Twilio's API 2010-04-01, IncomingPhoneNumbers; connection overrides stand in an address's fragment.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

import structlog
from django.conf import settings
from twilio.base.exceptions import TwilioRestException, TwilioServiceException

from messaging.models import SenderAccount
from messaging.providers.twilio.client import Account, client_of
from messaging.providers.twilio.outcomes import code_in, spoken_reason
from messaging.senders import account_of
from telephony.models import PhoneNumber
from telephony.vapi.sync_report import ClinicReport, Item, Kind, State
from voxanne.tenancy.scope import current_scope, org_scope

logger = structlog.get_logger(__name__)

VOICE_PATH = "/api/webhooks/twilio/voice"
STATUS_PATH = "/api/webhooks/twilio/call-status"
TEXTS_PATH = "/api/webhooks/twilio/sms"
# A caller listens to the ringing meanwhile: little time a try, and within Twilio's 15 s room for the fallback.
VOICE_OVERRIDES = "#ct=2000&rt=5000&tt=12000&rc=2&rp=ct,rt,5xx"
TEXTS_OVERRIDES = "#rc=3&rp=ct,rt,5xx"
# Nothing falls in for a lost status.
STATUS_OVERRIDES = "#rc=3&rp=all"
# Where one of these is set, Twilio ignores a number's own addresses.
ANSWERED_OTHERWISE = ("voice_application_sid", "trunk_sid", "sms_application_sid")
MOST_LISTED = 20
TWIML_BINS = "https://handler.twilio.com/twiml/"


class NumbersUnavailable(RuntimeError):
    """Twilio could not be asked, or refused; the message is a sentence for operators."""


@dataclass(frozen=True, slots=True)
class OurNumber:
    """A number of a clinic at Twilio. ``line`` is the clinic's own line; only texts are ours on a mere sender."""

    number: str
    line: str
    takes_calls: bool


@dataclass(frozen=True, slots=True)
class Numbers:
    """One clinic's numbers and the account that holds them."""

    account: Account
    numbers: tuple[OurNumber, ...]


def numbers_of(org_id: UUID) -> Numbers:
    with org_scope(org_id):
        sender = SenderAccount.objects.filter(org_id=org_id).first()
        rows = list(PhoneNumber.objects.filter(org_id=org_id).order_by("created_at"))
    numbers = [OurNumber(row.number, row.forward_to, takes_calls=True) for row in rows]
    if sender is not None and sender.number not in {row.number for row in rows}:
        numbers.append(OurNumber(sender.number, "", takes_calls=False))
    return Numbers(account_of(sender), tuple(numbers))


def wanted_addresses(ours: OurNumber, fallback_there: str = "") -> dict[str, str]:
    """The members of the number at Twilio that are ours to say; ``fallback_there`` is the fallback it has."""
    base = settings.BACKEND_URL
    texts = {"sms_url": f"{base}{TEXTS_PATH}{TEXTS_OVERRIDES}", "sms_method": "POST"}
    if not ours.takes_calls:
        return texts
    return {
        "voice_url": f"{base}{VOICE_PATH}{VOICE_OVERRIDES}",
        "voice_method": "POST",
        **_fallback(ours, fallback_there),
        "status_callback": f"{base}{STATUS_PATH}{STATUS_OVERRIDES}",
        "status_callback_method": "POST",
        **texts,
    }


def _fallback(ours: OurNumber, there: str) -> dict[str, str]:
    """What Twilio asks when our voice address failed: TwiML kept outside of us, where there is some, else ourselves.

    A TwiML Bin of Twilio's own, made for this number by a person, is the best there is and stays.
    """
    outside: str = settings.TWILIO_VOICE_FALLBACK_URL
    if outside and (ours.line or "{line}" not in outside):
        address = outside.replace("{line}", quote(ours.line, safe=""))
    elif there.startswith(TWIML_BINS):
        return {}
    else:
        address = f"{settings.BACKEND_URL}{VOICE_PATH}"
    return {"voice_fallback_url": address, "voice_fallback_method": "POST"}


def at_twilio(account: Account, number: str) -> Any | None:
    """The number as Twilio has it; None where the account does not hold it. Raises NumbersUnavailable."""
    return _asked(lambda: _find(account, number))


def _find(account: Account, number: str) -> Any | None:
    # Twilio's filter matches parts of numbers, too.
    listed = client_of(account).incoming_phone_numbers.list(phone_number=number, limit=MOST_LISTED)
    return next((found for found in listed if found.phone_number == number), None)


def account_status(account: Account) -> str:
    """``active`` where the credentials are right and the account is in order. Raises NumbersUnavailable."""
    return str(_asked(lambda: client_of(account).api.v2010.accounts(account.sid).fetch()).status)


def differing_addresses(ours: OurNumber, found: Any) -> list[str]:
    wanted = wanted_addresses(ours, found.voice_fallback_url or "")
    return [name for name, value in wanted.items() if (getattr(found, name) or "") != value]


def answered_otherwise(found: Any) -> str:
    """What else answers the number, as a sentence; blank where nothing does."""
    names = [name for name in ANSWERED_OTHERWISE if getattr(found, name, None)]
    return (
        f"{', '.join(names)} is set at Twilio, so that it ignores these addresses: clear it." if names else ""
    )


def _asked(question: Any) -> Any:
    if current_scope() is not None:
        raise RuntimeError("Twilio is never called inside a scope: its transaction would be kept waiting.")
    try:
        return question()
    except (TwilioRestException, TwilioServiceException) as error:
        raise NumbersUnavailable(
            f"Twilio answered {error.status}: {spoken_reason(code_in(error))}"
        ) from error
    # Whatever else it raised, nothing was changed by asking, and the next run asks again.
    except Exception as error:
        raise NumbersUnavailable(_told(error)) from error


def _told(error: Exception) -> str:
    """A sentence; a refused list is raised as a bare exception with the answer as its second argument."""
    status = getattr(error.args[1], "status_code", None) if len(error.args) > 1 else None
    if status in (401, 403):
        return f"Twilio answered {status}: {spoken_reason(20003)}"
    return (
        f"Twilio answered {status}." if status else f"Twilio could not be reached ({type(error).__name__})."
    )


def point_numbers(clinics: Iterable[tuple[UUID, str]], *, check_only: bool) -> list[ClinicReport]:
    """Points each clinic's numbers at us, unless ``check_only``. One clinic's failure stops no other."""
    reports = []
    for org_id, slug in clinics:
        report = ClinicReport(org_id, slug, check_only)
        reports.append(report)
        began = time.perf_counter()
        try:
            held = numbers_of(org_id)
            for ours in held.numbers:
                report.items.append(_point(held.account, ours, check_only=check_only))
        except NumbersUnavailable as fault:
            report.failure = str(fault)
        # Whatever went wrong with one clinic is told, and the others still get their turn.
        except Exception as error:
            logger.exception("numbers_not_pointed", org_id=str(org_id))
            report.failure = f"An unexpected fault ({type(error).__name__}); the log has more."
        report.milliseconds = (time.perf_counter() - began) * 1000
    return reports


def _point(account: Account, ours: OurNumber, *, check_only: bool) -> Item:
    found = at_twilio(account, ours.number)
    if found is None:
        sentence = f"The Twilio account …{account.sid[-4:]} does not hold it."
        return Item(Kind.NUMBER, ours.number, "", State.TROUBLE, (sentence,))
    faults = differing_addresses(ours, found)
    if faults and not check_only:
        wanted = wanted_addresses(ours, found.voice_fallback_url or "")
        found = _asked(
            lambda: (
                client_of(account)
                .incoming_phone_numbers(found.sid)
                .update(**{name: wanted[name] for name in faults})
            )
        )
        still = differing_addresses(ours, found)
        if still:
            sentence = f"Twilio did not take the change of {', '.join(still)}."
            return Item(Kind.NUMBER, ours.number, found.sid, State.TROUBLE, (sentence,))
    otherwise = answered_otherwise(found)
    if otherwise:
        return Item(Kind.NUMBER, ours.number, found.sid, State.TROUBLE, (otherwise,))
    state = State.REPAIRED if faults else State.AS_WANTED
    return Item(Kind.NUMBER, ours.number, found.sid, state, tuple(faults))
