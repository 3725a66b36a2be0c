"""A number that patients dial, and where its calls go. Asked for before any scope is open."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from messaging.phone_numbers import InvalidPhoneNumber, normalise
from telephony.clinics import is_our_number
from telephony.missed_calls.dial_outcomes import NO_TERMS, Terms
from telephony.models import ActiveCall, PhoneNumber
from voxanne.statements import Statement
from voxanne.tenancy.plan_cache import ClinicKey

OF_NUMBER = Statement("SELECT org_id, plan_version FROM clinics_of_vapi_call('', '', %s::text)")
SIP = "sip:"

Mode = PhoneNumber.Mode
Stage = ActiveCall.Stage


@dataclass(frozen=True, slots=True)
class Line:
    """``clinic_line`` and ``assistant`` are blank where there is nothing to ring."""

    number_id: UUID
    number: str
    mode: str
    clinic_line: str
    assistant: str
    ring_seconds: int
    voicemail_seconds: int
    whisper: bool

    @property
    def first_stage(self) -> str:
        """Whom a new call rings: what the mode says, else whoever there is."""
        wants_assistant = self.mode == Mode.ASSISTANT
        if self.assistant and (wants_assistant or not self.clinic_line):
            return Stage.ASSISTANT.value
        return Stage.CLINIC.value

    def goes_on(self, stage: str) -> bool:
        """Whether a call that nobody took at ``stage`` goes on to the assistant."""
        return self.mode == Mode.FORWARD_THEN_ASSISTANT and stage == Stage.CLINIC and bool(self.assistant)

    def rung_at(self, stage: str) -> str:
        return self.assistant if stage == Stage.ASSISTANT else self.clinic_line

    def terms(self, stage: str, whisper: str) -> Terms:
        if stage == Stage.ASSISTANT:
            return NO_TERMS
        return Terms(self.whisper, whisper, self.voicemail_seconds)


def clinic_dialled_at(number: str) -> ClinicKey | None:
    """The active clinic whose patients dial this number."""
    row = OF_NUMBER.row([number]) if number else None
    return ClinicKey(*row) if row else None


def line_of(org_id: UUID, number: str, country: str) -> Line:
    """The clinic's number as it is set up now. Inside the clinic's scope. Raises PhoneNumber.DoesNotExist."""
    return line_from(PhoneNumber.objects.get(org_id=org_id, number=number), country)


def line_from(row: PhoneNumber, country: str) -> Line:
    return Line(
        number_id=row.pk,
        number=row.number,
        mode=row.mode,
        clinic_line=_not_ours(row.forward_to, country),
        assistant=_assistant(row, country),
        ring_seconds=row.ring_seconds,
        voicemail_seconds=row.voicemail_seconds,
        whisper=row.whisper,
    )


def _not_ours(written: str, country: str) -> str:
    """The number as E.164; blank where it is none, or one of ours: the caller would come straight back."""
    try:
        number = normalise(written, country)
    except InvalidPhoneNumber:
        return ""
    return "" if is_our_number(number) else number


def _assistant(row: PhoneNumber, country: str) -> str:
    written = row.assistant_address.strip()
    if written.lower().startswith(SIP):
        return written
    try:
        number = normalise(written, country)
    except InvalidPhoneNumber:
        return ""
    # Vapi's number may well stand among ours; the dialled one itself would ring for ever.
    return "" if number == row.number else number
