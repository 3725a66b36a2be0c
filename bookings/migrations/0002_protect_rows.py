from __future__ import annotations

from django.db import migrations

from voxanne.tenancy.plan_triggers import raises_plan_version
from voxanne.tenancy.row_security import ProtectRows

OWNED = (
    "service", "provider", "providerservice", "workinghours", "closure", "appointment", "calendarconnection",
    "busyblock", "calendarpush",
)


class Migration(migrations.Migration):
    dependencies = [("bookings", "0001_initial"), ("tenancy", "0002_protect_rows")]

    operations = [
        *(ProtectRows(name) for name in OWNED),
        raises_plan_version("services", "providers", "provider_services", "working_hours", "closures"),
    ]
