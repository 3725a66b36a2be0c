from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

import voxanne.tenancy.ids
from voxanne.tenancy.row_security import ProtectRows


class Migration(migrations.Migration):
    dependencies = [("telephony", "0021_drill_numbers"), ("tenancy", "0002_protect_rows")]

    operations = [
        migrations.CreateModel(
            name="ToolRegistration",
            fields=[
                ("id", models.UUIDField(default=voxanne.tenancy.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("name", models.CharField(max_length=64)),
                ("vapi_tool_id", models.CharField(max_length=64, unique=True)),
                ("vapi_assistant_id", models.CharField(blank=True, default="", max_length=64)),
                ("schema_digest", models.CharField(max_length=64)),
                ("synced_at", models.DateTimeField()),
                ("org", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="tenancy.organization", verbose_name="clinic")),
            ],
            options={
                "db_table": "tool_registrations",
                "ordering": ("name",),
                "constraints": [models.UniqueConstraint(fields=("org", "name"), name="one_registration_a_tool")],
            },
        ),
        ProtectRows("toolregistration"),
        migrations.AddField(
            model_name="vapicredential",
            name="vapi_credential_id",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Its id at Vapi, from the dashboard. Blank: Vapi is given the secret as a header to send.",
                max_length=64,
            ),
        ),
    ]
