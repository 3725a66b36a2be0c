from __future__ import annotations

import django.db.models.functions.comparison
from django.db import migrations, models


class Migration(migrations.Migration):
    """What keeps those who text us from costing a clinic more than it means to give."""

    dependencies = [("messaging", "0140_when_it_was_said")]

    operations = [
        migrations.AddField(
            model_name="conversation",
            name="help_answered_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="stafftask",
            name="texts",
            field=models.PositiveIntegerField(
                db_default=1, default=1, help_text="Of a conversation, how many came in while this was open."
            ),
        ),
        migrations.AddConstraint(
            model_name="senderaccount",
            constraint=models.UniqueConstraint(
                condition=models.Q(("messaging_service_sid", ""), _negated=True),
                fields=("messaging_service_sid",),
                name="a_messaging_service_belongs_to_one_clinic",
            ),
        ),
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(
                models.F("org"),
                django.db.models.functions.comparison.Greatest("auto_replied_at", "help_answered_at"),
                name="idx_conversations_automatic",
            ),
        ),
    ]
