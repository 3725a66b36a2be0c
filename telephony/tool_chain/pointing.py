"""Where Twilio sends what happens on a clinic's numbers: compared with our own addresses, and pointed there.

Source: Twilio's connection overrides, which stand in an address's fragment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.conf import settings

from messaging.models import SenderAccount
from messaging.providers.twilio.client import Account
from messaging.senders import account_of
from monitoring.breaker import only_looking
from telephony.models import PhoneNumber
from telephony.tool_chain.report import ClinicReport, Item, Kind, State, one_clinics_turn
from telephony.twilio.addresses import STATUS_PATH, TEXTS_PATH, VOICE_PATH
from telephony.twilio.numbers import TWIML_BINS, NumbersUnavailable, answered_otherwise, at_twilio, change
from voxanne.tenancy.scope import org_scope

# A caller listens to the ringing meanwhile: little time a try, and within Twilio's 15 s room for the fallback.
VOICE_OVERRIDES = "#ct=2000&rt=5000&tt=12000&rc=2&rp=ct,rt,5xx"
TEXTS_OVERRIDES = "#rc=3&rp=ct,rt,5xx"
# Nothing falls in for a lost status.
STATUS_OVERRIDES = "#rc=3&rp=all"
WHAT_LEADS_HERE = {"voice_url": "calls", "sms_url": "texts", "status_callback": "the statuses of calls"}


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


def held_numbers(org_id: UUID) -> Numbers:
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
    elif there.startswith(f"{TWIML_BINS}/twiml/"):
        return {}
    else:
        address = f"{settings.BACKEND_URL}{VOICE_PATH}"
    return {"voice_fallback_url": address, "voice_fallback_method": "POST"}


def differing_addresses(ours: OurNumber, found: Any) -> list[str]:
    wanted = wanted_addresses(ours, found.voice_fallback_url or "")
    return [name for name, value in wanted.items() if (getattr(found, name) or "") != value]


def led_elsewhere(ours: OurNumber, found: Any) -> list[str]:
    """Which of calls, texts and statuses never reach us, for their address leads to nobody or to somebody else; what
    an address says of retries is another matter."""
    wanted = wanted_addresses(ours, found.voice_fallback_url or "")
    there = {name: (getattr(found, name) or "").partition("#")[0] for name in WHAT_LEADS_HERE}
    return [
        what
        for name, what in WHAT_LEADS_HERE.items()
        if name in wanted and there[name] != wanted[name].partition("#")[0]
    ]


def point_numbers(clinics: Iterable[tuple[UUID, str]], *, check_only: bool) -> list[ClinicReport]:
    """Points each clinic's numbers at us, unless ``check_only``. One clinic's failure stops no other."""
    reports = []
    for org_id, slug in clinics:
        report = ClinicReport(org_id, slug, check_only)
        reports.append(report)
        with one_clinics_turn(report, NumbersUnavailable), only_looking(check_only):
            held = held_numbers(org_id)
            for ours in held.numbers:
                report.items.append(_point(held.account, ours, check_only=check_only))
    return reports


def _point(account: Account, ours: OurNumber, *, check_only: bool) -> Item:
    found = at_twilio(account, ours.number)
    if found is None:
        sentence = f"The Twilio account …{account.sid[-4:]} does not hold it."
        return Item(Kind.NUMBER, ours.number, "", State.TROUBLE, (sentence,))
    faults = differing_addresses(ours, found)
    if faults and not check_only:
        wanted = wanted_addresses(ours, found.voice_fallback_url or "")
        found = change(account, found.sid, {name: wanted[name] for name in faults})
        still = differing_addresses(ours, found)
        if still:
            sentence = f"Twilio did not take the change of {', '.join(still)}."
            return Item(Kind.NUMBER, ours.number, found.sid, State.TROUBLE, (sentence,))
    otherwise = answered_otherwise(found)
    if otherwise:
        return Item(Kind.NUMBER, ours.number, found.sid, State.TROUBLE, (otherwise,))
    state = State.REPAIRED if faults else State.AS_WANTED
    return Item(Kind.NUMBER, ours.number, found.sid, state, tuple(faults))
