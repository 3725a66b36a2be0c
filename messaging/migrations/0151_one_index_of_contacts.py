from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """An index less, and nothing that a serving process would wait for: Django itself would also make the foreign key
    anew, and read the whole table under its lock."""

    atomic = False
    dependencies = [("messaging", "0150_in_doubt_since")]

    operations = [
        # idx_sms_delivery_log_contact holds the same.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="message",
                    name="contact",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="messages",
                        to="messaging.contact",
                    ),
                ),
            ],
            database_operations=[
                migrations.RunSQL(
                    "DROP INDEX CONCURRENTLY IF EXISTS sms_delivery_log_contact_id_3dd35741",
                    "CREATE INDEX CONCURRENTLY IF NOT EXISTS sms_delivery_log_contact_id_3dd35741"
                    " ON sms_delivery_log (contact_id)",
                ),
            ],
        ),
    ]
