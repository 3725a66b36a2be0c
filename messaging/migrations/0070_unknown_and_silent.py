from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0061_texts_to_read")]

    operations = [
        migrations.AddField(
            model_name="message",
            name="receipt_asked_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterModelOptions(
            name="message",
            options={
                "ordering": ("-created_at",),
                "permissions": [
                    ("redrive_message", "Can redrive a dead letter"),
                    ("discard_message", "Can discard a dead letter"),
                    ("decide_message", "Can decide about a text of unknown fate"),
                ],
            },
        ),
    ]
