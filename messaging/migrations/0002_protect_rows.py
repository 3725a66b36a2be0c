from __future__ import annotations

from django.db import migrations

from voxanne.tenancy.plan_triggers import raises_plan_version
from voxanne.tenancy.row_security import ProtectRows

OWNED = ("contact", "message", "deliveryattempt", "optout", "messagetemplate", "senderaccount")

# A receipt names a message before any clinic is known: this tells whose it is, and nothing else of it.
CLINIC_OF_MESSAGE = """
CREATE FUNCTION clinic_of_message(wanted uuid) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT m.org_id FROM sms_delivery_log m WHERE m.id = wanted;
END $$;
CREATE FUNCTION message_of_sid(wanted text) RETURNS TABLE (org_id uuid, id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT m.org_id, m.id FROM sms_delivery_log m WHERE m.provider_sid = wanted AND wanted <> '';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("messaging", "0001_initial"), ("tenancy", "0002_protect_rows")]

    operations = [
        *(ProtectRows(name) for name in OWNED),
        raises_plan_version("message_templates", "sender_accounts"),
        migrations.RunSQL(
            CLINIC_OF_MESSAGE, "DROP FUNCTION clinic_of_message(uuid); DROP FUNCTION message_of_sid(text);"
        ),
    ]
