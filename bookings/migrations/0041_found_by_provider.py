from __future__ import annotations

import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Nothing that a serving process would wait for: Django itself would also make the foreign key anew, and read the
    whole table under its lock."""

    atomic = False
    dependencies = [("bookings", "0040_one_live_code_and_patient_links")]

    operations = [
        AddIndexConcurrently(
            model_name="appointment",
            index=models.Index(fields=["provider", "starts_at"], name="idx_appointments_provider"),
        ),
        AddIndexConcurrently(
            model_name="appointment",
            index=models.Index(
                fields=["provider", "starts_at"],
                name="idx_appointments_overlaps",
                condition=models.Q(("overlaps_knowingly", True), ("status__in", ["held", "confirmed"])),
            ),
        ),
        # The first of the two finds what its own index found.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="appointment",
                    name="provider",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="appointments",
                        to="bookings.provider",
                    ),
                ),
            ],
            database_operations=[
                migrations.RunSQL(
                    "DROP INDEX CONCURRENTLY IF EXISTS appointments_provider_id_6f091f90",
                    "CREATE INDEX CONCURRENTLY IF NOT EXISTS appointments_provider_id_6f091f90"
                    " ON appointments (provider_id)",
                ),
            ],
        ),
    ]
