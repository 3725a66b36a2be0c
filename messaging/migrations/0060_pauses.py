from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0006_look_ups_tell_the_plan_version")]

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
    ]
