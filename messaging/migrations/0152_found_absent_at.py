from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0151_one_index_of_contacts")]

    operations = [
        migrations.AddField(
            model_name="deliveryattempt",
            name="found_absent_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When the provider's list had shown twice that it took no such text.",
                null=True,
            ),
        ),
    ]
