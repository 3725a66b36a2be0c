"""What requests leave in the tables: nothing when they are refused, whole visits when they are not."""

from __future__ import annotations

from django.apps import apps

from bookings.models import Appointment
from messaging.models import Message
from tests.clinics import Clinic
from voxanne.tenancy.owned import Owned
from voxanne.tenancy.scope import org_scope, platform_scope

OWNED = [model for model in apps.get_models() if issubclass(model, Owned)]


def row_counts() -> dict[str, int]:
    """Rows by table, of all clinics together."""
    with platform_scope("count rows in a test"):
        return {model._meta.db_table: model.objects.count() for model in OWNED}


def assert_no_visit_is_half_made(clinic: Clinic) -> None:
    """Every visit has its person, its provider, its text and its length."""
    with org_scope(clinic.id):
        visits = list(Appointment.objects.select_related("contact", "provider", "service"))
        texts = set(Message.objects.values_list("about", flat=True))
    for visit in visits:
        local = visit.starts_at.astimezone(clinic.org.zone)
        assert visit.patient_name
        assert visit.contact.phone
        assert visit.ends_at > visit.starts_at
        assert local.weekday() < 5
        assert 9 <= local.hour < 17
        assert f"appointment:{visit.pk}" in texts
