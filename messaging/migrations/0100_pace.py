from __future__ import annotations

import django.core.validators
import django.db.models.functions
from django.db import migrations, models


class Migration(migrations.Migration):
    """A sender's pace, a text's place in it, and whose turn it is."""

    dependencies = [("messaging", "0070_unknown_and_silent")]

    operations = [
        migrations.AddField(
            model_name="message",
            name="slot_at",
            field=models.DateTimeField(
                blank=True, help_text="Its place in the sender's pace, as long as it waits for that.", null=True
            ),
        ),
        migrations.AddField(
            model_name="senderaccount",
            name="segments_per_second",
            field=models.PositiveSmallIntegerField(
                blank=True,
                help_text=(
                    "What Twilio granted this number, such as 4 for a registered campaign. Leave empty if you do not"
                    " know: the kind of number then decides."
                ),
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(1000),
                ],
            ),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                django.db.models.functions.Cast("priority", models.IntegerField()),
                "org",
                "next_attempt_at",
                condition=models.Q(("state", "queued")),
                name="idx_sms_delivery_log_turns",
            ),
        ),
    ]
