from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0020_staff_tasks")]

    operations = [
        migrations.AlterModelOptions(
            name="senderaccount",
            options={"permissions": [("pause_senderaccount", "Can pause and resume sending")]},
        ),
        migrations.AddField(
            model_name="senderaccount",
            name="paused_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        # The words that staff read for a state; the database does nothing about it.
        migrations.AlterField(
            model_name="message",
            name="state",
            field=models.CharField(
                choices=[
                    ("queued", "Waiting"),
                    ("sending", "Being sent"),
                    ("unknown", "Fate unknown"),
                    ("sent", "Sent"),
                    ("delivered", "Delivered"),
                    ("dead_letter", "Not delivered"),
                    ("suppressed", "Not sent"),
                    ("expired", "Too late"),
                    ("canceled", "Withdrawn"),
                ],
                default="queued",
                max_length=20,
            ),
        ),
    ]
