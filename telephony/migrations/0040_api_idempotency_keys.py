from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

import voxanne.tenancy.ids
from voxanne.tenancy.row_security import ProtectRows

# Asked with the claims of a verified token, before any scope is open; it tells ids only.
LOOK_UP = """
CREATE FUNCTION clinic_of_token(wanted uuid) RETURNS TABLE (org_id uuid, plan_version bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT o.id, o.plan_version FROM organizations o WHERE o.id = wanted AND o.active;
END $$;
"""
UNDO = "DROP FUNCTION clinic_of_token(uuid);"


class Migration(migrations.Migration):
    dependencies = [
        ("telephony", "0031_a_number_belongs_to_one_clinic"),
        ("tenancy", "0003_versions_never_used_twice"),
    ]

    operations = [
        migrations.CreateModel(
            name="ApiIdempotencyKey",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=voxanne.tenancy.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("caller", models.CharField(help_text="SHA-256 of the token's subject.", max_length=64)),
                ("key", models.CharField(help_text="SHA-256 of the Idempotency-Key.", max_length=64)),
                ("request", models.CharField(help_text="SHA-256 of what was asked.", max_length=64)),
                ("status", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("answer", models.JSONField(blank=True, null=True)),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="tenancy.organization",
                        verbose_name="clinic",
                    ),
                ),
            ],
            options={
                "verbose_name": "API request key",
                "db_table": "api_idempotency_keys",
                "ordering": ("-created_at",),
                "indexes": [models.Index(fields=["created_at"], name="idx_api_idempotency_created")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("org", "caller", "key"), name="one_answer_an_idempotency_key"
                    )
                ],
            },
        ),
        ProtectRows("apiidempotencykey"),
        migrations.RunSQL(LOOK_UP, UNDO),
    ]
