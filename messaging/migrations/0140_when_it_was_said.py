from __future__ import annotations

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """A text's own time beside the time at which it was worked off."""

    dependencies = [("messaging", "0131_after_a_redrive")]

    operations = [
        migrations.AlterField(
            model_name="optout",
            name="created_at",
            field=models.DateTimeField(default=django.utils.timezone.now, editable=False),
        ),
        migrations.AddField(
            model_name="inboundmessage",
            name="received_at",
            field=models.DateTimeField(
                blank=True, help_text="When Twilio told us of it.", null=True, verbose_name="came in"
            ),
        ),
    ]
