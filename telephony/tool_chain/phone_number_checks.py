"""Does every number lead to its one clinic, here and at the providers?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from uuid import UUID

from django.conf import settings

from messaging.inbound import clinic_texted_at
from messaging.models import SenderAccount
from messaging.phone_numbers import InvalidPhoneNumber, normalise
from messaging.providers.twilio.client import Account
from monitoring.breaker import only_looking
from monitoring.findings import Finding, Verdict
from telephony.clinics import clinic_of_call, is_our_number
from telephony.tool_chain.our_side import Line, our_side
from telephony.tool_chain.pointing import OurNumber, differing_addresses, held_numbers, led_elsewhere
from telephony.twilio.numbers import NumbersUnavailable, answered_otherwise, at_twilio
from telephony.vapi.payload import CallFacts
from telephony.vapi.rest import PHONE_NUMBER, Vapi, VapiFault
from voxanne.tenancy.scope import org_scope

POINT = "Run `manage.py point_twilio_numbers --org {slug}`."
IN_ADMIN = "Correct the number in the admin."


def check_numbers(clinics: Iterable[tuple[UUID, str]], vapi: Vapi | None = None) -> dict[str, list[Finding]]:
    """Findings by the clinic's slug. Never raises for what a provider does, and changes no circuit."""
    client = vapi or Vapi()
    with only_looking():
        return {slug: _of_clinic(org_id, slug, client) for org_id, slug in clinics}


def _of_clinic(org_id: UUID, slug: str, vapi: Vapi) -> list[Finding]:
    clinic, held = our_side(org_id), held_numbers(org_id)
    looks: list[Callable[[], Finding]] = [partial(_resolves, org_id, line) for line in clinic.lines]
    looks.append(partial(_texts_resolve, org_id))
    looks += [partial(_at_twilio, held.account, ours, slug) for ours in held.numbers]
    looks += [partial(_at_vapi, vapi, line) for line in clinic.lines if line.vapi_id]
    findings = [_timed(look) for look in looks]
    if not clinic.lines:
        findings.append(
            Finding("numbers", Verdict.WARN, "The clinic has no number that patients dial.", IN_ADMIN)
        )
    return findings


def _timed(look: Callable[[], Finding]) -> Finding:
    began = time.perf_counter()
    finding = look()
    return replace(finding, milliseconds=(time.perf_counter() - began) * 1000)


def _resolves(org_id: UUID, line: Line) -> Finding:
    """Asked as a call would ask: by the dialled number and, where there is one, by its id at Vapi."""
    check = f"{line.number} resolves"
    if not _is_e164(line.number):
        return Finding(check, Verdict.FAIL, "It is no complete number such as +14155550100.", IN_ADMIN)
    for facts in (_dialled(line.number, ""), _dialled("", line.vapi_id), _dialled(line.number, line.vapi_id)):
        clinic = clinic_of_call(facts)
        if (facts.dialled or facts.phone_number_id) and (clinic is None or clinic.org_id != org_id):
            return Finding(check, Verdict.FAIL, "It does not lead to this clinic alone.", IN_ADMIN)
    if line.forward_to and is_our_number(line.forward_to):
        return Finding(check, Verdict.FAIL, "Its line is a number of our own: calls go in circles.", IN_ADMIN)
    return Finding(check, Verdict.PASS, "It leads to this clinic alone.")


def _dialled(number: str, number_id: str) -> CallFacts:
    return CallFacts("", "", "", number_id, number, "", "")


def _is_e164(number: str) -> bool:
    try:
        return number.startswith("+") and normalise(number, "US") == number
    except InvalidPhoneNumber:
        return False


def _texts_resolve(org_id: UUID) -> Finding:
    with org_scope(org_id):
        sender = SenderAccount.objects.filter(org_id=org_id).first()
    if sender is None:
        advice = "Enter the number the clinic texts from in the admin."
        return Finding("texts", Verdict.WARN, "The clinic has no number to text from.", advice)
    clinic = clinic_texted_at(sender.number)
    if clinic is None or clinic.org_id != org_id:
        return Finding("texts", Verdict.FAIL, f"Texts to {sender.number} do not lead here.", IN_ADMIN)
    return Finding("texts", Verdict.PASS, f"{sender.number} is this clinic's alone.")


def _at_twilio(account: Account, ours: OurNumber, slug: str) -> Finding:
    check = f"{ours.number} at Twilio"
    if not (account.sid and (account.auth_token or account.api_key)):
        return Finding(check, Verdict.WARN, "Not asked: there are no credentials for Twilio.")
    try:
        found = at_twilio(account, ours.number)
    except NumbersUnavailable as fault:
        return Finding(check, Verdict.WARN, f"Not asked: {fault}")
    if found is None:
        detail = f"The account …{account.sid[-4:]} does not hold it."
        return Finding(check, Verdict.FAIL, detail, "Buy or move the number, or correct it in the admin.")
    otherwise = answered_otherwise(found)
    if otherwise:
        return Finding(check, Verdict.FAIL, otherwise, "Clear it at Twilio, or nothing reaches us.")
    astray = led_elsewhere(ours, found)
    if astray:
        detail = f"It is pointed elsewhere: {', '.join(astray)} never reach us."
        return Finding(check, Verdict.FAIL, detail, POINT.format(slug=slug))
    faults = differing_addresses(ours, found)
    if faults:
        detail = f"It is not pointed at us as it should be: {', '.join(faults)}."
        return Finding(check, Verdict.WARN, detail, POINT.format(slug=slug))
    return Finding(check, Verdict.PASS, "The account holds it, and it is pointed at us.")


def _at_vapi(vapi: Vapi, line: Line) -> Finding:
    check = f"{line.number} at Vapi"
    if not settings.VAPI_API_KEY:
        return Finding(check, Verdict.WARN, "Not asked: VAPI_API_KEY is not set.")
    try:
        found = vapi.find(PHONE_NUMBER, line.vapi_id)
    except VapiFault as fault:
        return Finding(check, Verdict.WARN, f"Not asked: {fault}")
    if found is None:
        advice = "Import it at Vapi, and enter its id in the admin."
        return Finding(check, Verdict.FAIL, "Vapi has no number with its id.", advice)
    if found.get("number") not in (None, line.number):
        return Finding(check, Verdict.FAIL, "Its id is another number's at Vapi.", IN_ADMIN)
    return Finding(check, Verdict.PASS, "Vapi has it under its id.")
