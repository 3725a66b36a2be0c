"""What calls lean on at the providers: the platform's credentials there, and every clinic's tool chain."""

from __future__ import annotations

from django.conf import settings

from messaging.providers.twilio.client import platform_account
from monitoring.findings import Finding, Verdict, worst
from monitoring.readiness import failed, passed, register_check, warned
from monitoring.readiness_checks import BACKEND_ADDRESS
from telephony.clinics import active_clinics
from telephony.tool_chain.phone_number_checks import check_numbers
from telephony.tool_chain.verification import tool_chains
from telephony.twilio.numbers import NumbersUnavailable, account_status
from telephony.vapi.rest import ASSISTANT, Vapi, VapiFault


def twilio_credentials() -> list[Finding]:
    account = platform_account()
    if not (account.sid and (account.auth_token or account.api_key)):
        advice = (
            "Set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, unless every clinic has an account of its own."
        )
        return warned("Twilio credentials", "The platform has none.", advice)
    try:
        status = account_status(account)
    except NumbersUnavailable as fault:
        return failed("Twilio credentials", str(fault), "Check TWILIO_ACCOUNT_SID and its token or key.")
    if status != "active":
        return failed("Twilio credentials", f"The account is {status}.", "Settle that with Twilio.")
    return passed("Twilio credentials", "Twilio takes them; the account is active.")


def vapi_key() -> list[Finding]:
    if not settings.VAPI_API_KEY:
        advice = "Set VAPI_API_KEY to the private key of our organisation at Vapi."
        return failed("Vapi key", "VAPI_API_KEY is not set.", advice)
    try:
        Vapi().find(ASSISTANT, "no-such-assistant")
    except VapiFault as fault:
        return failed("Vapi key", str(fault), "Check VAPI_API_KEY: it must be the private key.")
    return passed("Vapi key", "Vapi takes it.")


def tool_chain() -> list[Finding]:
    """One finding for each clinic whose chain is not whole; the rest is ``verify_tool_chain``'s to tell."""
    if not settings.VAPI_API_KEY:
        return warned("tool chain", "Not asked: VAPI_API_KEY is not set.")
    clinics = active_clinics()
    if not clinics:
        return warned("tool chain", "There is no active clinic yet.")
    # Our own address is a check of its own.
    chains = [chain for chain in tool_chains(clinics) if chain.slug or chain.verdict is Verdict.FAIL]
    findings = []
    for chain in chains:
        broken = [found for found in chain.findings if found.verdict is not Verdict.PASS]
        if chain.slug and broken:
            told = "; ".join(f"{found.check}: {found.detail}" for found in broken)
            advice = f"Run `manage.py verify_tool_chain --org {chain.slug}` for what to do."
            findings.append(Finding(f"tool chain of {chain.slug}", worst(broken), told, advice))
        elif not chain.slug:
            findings += [found for found in broken if found.check != BACKEND_ADDRESS]
    return findings or passed("tool chain", f"Whole for all of {len(clinics)} clinics.")


def numbers() -> list[Finding]:
    """One finding for each clinic that is not reached on every number; the rest is ``validate_phone_numbers``'s to
    tell."""
    clinics = active_clinics()
    findings = []
    for slug, found in check_numbers(clinics).items():
        broken = [each for each in found if each.verdict is not Verdict.PASS]
        if broken:
            told = "; ".join(f"{each.check}: {each.detail}" for each in broken)
            advice = f"Run `manage.py validate_phone_numbers --org {slug}` for what to do."
            findings.append(Finding(f"numbers of {slug}", worst(broken), told, advice))
    return findings or passed("numbers", f"All lead here, for all of {len(clinics)} clinics.")


def register() -> None:
    register_check("Twilio credentials", twilio_credentials)
    register_check("Vapi key", vapi_key)
    register_check("tool chain", tool_chain)
    register_check("numbers", numbers)
