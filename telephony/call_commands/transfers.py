"""Where a caller is put through to: the department's number, within its hours, never a number of our own."""

from __future__ import annotations

from datetime import datetime

from bookings.plan import ClinicPlan
from bookings.slots import WeeklyWindow, day_windows
from messaging.phone_numbers import InvalidPhoneNumber, normalise
from telephony.clinics import is_our_number
from telephony.models import TransferDestination

GENERAL = TransferDestination.Department.GENERAL.value


class NoDestination(LookupError):
    """The clinic has no number for this department that is not one of ours."""


class AfterHours(LookupError):
    """Nobody answers there at this hour."""


def destination_for(plan: ClinicPlan, department: str, now: datetime) -> str:
    """The number (E.164) for ``department``, else for general. Raises NoDestination or AfterHours."""
    rows = {row.department: row for row in TransferDestination.objects.filter(org_id=plan.key.org_id)}
    row = rows.get(department) or rows.get(GENERAL)
    if row is None:
        raise NoDestination(department)
    number = _number(row, plan)
    if not _answers(row, plan, now):
        raise AfterHours(department)
    return number


def _number(row: TransferDestination, plan: ClinicPlan) -> str:
    """The row's number as E.164, however it was written. Raises NoDestination.

    Dialling one of our own numbers would bring the caller straight back to the agent.
    """
    try:
        number = normalise(row.number, plan.country)
    except InvalidPhoneNumber as error:
        raise NoDestination(row.department) from error
    if is_our_number(number):
        raise NoDestination(row.department)
    return number


def _answers(row: TransferDestination, plan: ClinicPlan, now: datetime) -> bool:
    windows = [WeeklyWindow(weekday, row.opens, row.closes) for weekday in row.weekdays]
    return any(hours.start <= now < hours.end for hours in day_windows(plan.today(now), windows, plan.zone))
