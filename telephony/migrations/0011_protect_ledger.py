from __future__ import annotations

from django.db import migrations

from voxanne.tenancy.row_security import ProtectRows

OWNED = ("webhookdelivery", "callevent")

# Operations name a webhook by its id alone: this tells whose it is, and nothing else of it.
CLINIC_OF_WEBHOOK = """
CREATE FUNCTION clinic_of_webhook(wanted uuid) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT w.org_id FROM webhook_delivery_log w WHERE w.id = wanted;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("telephony", "0010_ledger")]

    operations = [
        *(ProtectRows(name) for name in OWNED),
        migrations.RunSQL(CLINIC_OF_WEBHOOK, "DROP FUNCTION clinic_of_webhook(uuid)"),
    ]
