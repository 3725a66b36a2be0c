from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("bookings", "0040_one_live_code_and_patient_links")]

    operations = [
        migrations.AddIndex(
            model_name="appointment",
            index=models.Index(fields=["provider", "starts_at"], name="idx_appointments_provider"),
        ),
        migrations.AddIndex(
            model_name="appointment",
            index=models.Index(
                fields=["provider", "starts_at"],
                name="idx_appointments_overlaps",
                condition=models.Q(("overlaps_knowingly", True), ("status__in", ["held", "confirmed"])),
            ),
        ),
        # The first of the two finds what its own index found.
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
    ]
