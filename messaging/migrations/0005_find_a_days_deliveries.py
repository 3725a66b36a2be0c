from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    """A day's deliveries are found by the time of their first try, among a million rows too."""

    dependencies = [("messaging", "0004_message_lost_leases")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX idx_sms_delivery_log_first_tried ON sms_delivery_log (first_attempted_at)"
            " WHERE first_attempted_at IS NOT NULL",
            "DROP INDEX idx_sms_delivery_log_first_tried",
        )
    ]
