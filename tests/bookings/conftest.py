from __future__ import annotations

import pytest

from tests.bookings.clinic_day import ClinicDay
from tests.clinics import Clinic
from tests.sandbox.conftest import sandbox, sandbox_process
from tests.tenancy.kept_clean import leave_nothing, quick_passwords
from voxanne.tenancy.scope import org_scope

__all__ = ["leave_nothing", "quick_passwords", "sandbox", "sandbox_process"]


@pytest.fixture
def day(elm: Clinic) -> ClinicDay:
    return ClinicDay(elm)


@pytest.fixture
def alone(day: ClinicDay) -> ClinicDay:
    """Only one provider sees patients."""
    with org_scope(day.clinic.id):
        second = day.provider(1)
        second.active = False
        second.save(update_fields=["active"])
    return day
