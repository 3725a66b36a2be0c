"""The demo clinics at the sandbox's Vapi and Twilio: their assistants and numbers, as a person would have
made them there, and then what our own commands make of them.

Only ever at the sandbox: an account at a real provider is nobody's playground.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import requests
from django.conf import settings

from telephony.clinics import active_clinics
from telephony.tool_chain.pointing import point_numbers
from telephony.tool_chain.report import ClinicReport
from telephony.tool_chain.sync import sync_clinics
from voxanne.demo.clinics import CLINICS, DemoClinic, restore_assistants, twilio_number

TIMEOUT = (0.5, 5.0)


def is_at_sandbox() -> bool:
    """Whether the product talks to the sandbox and to nobody else."""
    addresses = (settings.VAPI_API_BASE_URL, settings.TWILIO_API_BASE_URL)
    return all(address.startswith(f"{settings.SANDBOX_URL}/") for address in addresses)


def register() -> bool:
    """Makes what is missing at the sandbox; False where it does not run."""
    restore_assistants()
    try:
        with requests.Session() as http:
            held = {
                (kind, record["id"])
                for kind in ("assistant", "phone-number")
                for record in _control(http, "GET", f"/vapi/records/{kind}")
            }
            bought = {number["number"] for number in _control(http, "GET", "/numbers")}
            for clinic in CLINICS:
                for kind, record in _records(clinic):
                    if (kind, record["id"]) not in held:
                        _control(http, "POST", f"/vapi/records/{kind}", record)
                if clinic.number not in bought:
                    _control(http, "POST", "/numbers", twilio_number(clinic, settings.BACKEND_URL))
    except requests.RequestException:
        return False
    return True


def _control(http: requests.Session, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    answer = http.request(method, f"{settings.SANDBOX_URL}/_control{path}", json=body, timeout=TIMEOUT)
    answer.raise_for_status()
    return answer.json()


def _records(clinic: DemoClinic) -> Iterator[tuple[str, dict[str, Any]]]:
    """An assistant, and a number as Vapi imports one: with a fixed assistant, and its texts taken."""
    model = {
        "provider": "openai",
        "model": "gpt-4.1",
        "messages": [{"role": "system", "content": "You answer the phone of {{clinicName}}."}],
    }
    yield "assistant", {"id": clinic.vapi_assistant_id, "name": clinic.name, "model": model}
    yield (
        "phone-number",
        {
            "id": clinic.vapi_phone_number_id,
            "provider": "twilio",
            "number": clinic.number,
            "assistantId": clinic.vapi_assistant_id,
            "smsEnabled": True,
        },
    )


def connect() -> list[ClinicReport]:
    """Syncs the demo clinics' tools and points their numbers at us."""
    known = {clinic.slug for clinic in CLINICS}
    clinics = [(org_id, slug) for org_id, slug in active_clinics() if slug in known]
    return [*sync_clinics(clinics, check_only=False), *point_numbers(clinics, check_only=False)]
