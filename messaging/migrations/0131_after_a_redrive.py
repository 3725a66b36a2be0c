from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0121_staff_learn_of_lost_texts")]

    operations = [
        migrations.AlterField(
            model_name="message",
            name="priority",
            field=models.PositiveSmallIntegerField(
                default=0, help_text="0 asked for now, 1 time-bound, 2 bulk, 3 asked for and put back with many."
            ),
        ),
        migrations.AddField(
            model_name="bulkact",
            name="in_doubt",
            field=models.PositiveIntegerField(
                db_default=0, default=0, help_text="Left alone: nobody knows whether they arrived."
            ),
        ),
        # A text comes to be "sent" once a try, and leaves this index with its receipt.
        migrations.RunSQL(
            "CREATE INDEX idx_sms_delivery_log_silent ON sms_delivery_log (sent_at) WHERE state = 'sent'",
            "DROP INDEX idx_sms_delivery_log_silent",
        ),
    ]
