from __future__ import annotations

from django.db import migrations

from voxanne.tenancy.plan_triggers import raises_plan_version
from voxanne.tenancy.row_security import ProtectRows

# WhatsApp's addresses carry a prefix, so one number can be a clinic's on both channels.
WITH_WHATSAPP = """
CREATE OR REPLACE FUNCTION clinic_of_sender(wanted text) RETURNS TABLE (org_id uuid, plan_version bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT o.id, o.plan_version FROM sender_accounts s JOIN organizations o ON o.id = s.org_id
                 WHERE o.active AND wanted IN (s.number, nullif(s.messaging_service_sid, ''),
                                               'whatsapp:' || nullif(s.whatsapp_number, ''));
END $$;
"""

WITHOUT_WHATSAPP = """
CREATE OR REPLACE FUNCTION clinic_of_sender(wanted text) RETURNS TABLE (org_id uuid, plan_version bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT o.id, o.plan_version FROM sender_accounts s JOIN organizations o ON o.id = s.org_id
                 WHERE o.active AND wanted IN (s.number, nullif(s.messaging_service_sid, ''));
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("messaging", "0110_whatsapp")]

    operations = [
        ProtectRows("whatsapptemplate"),
        raises_plan_version("whatsapp_templates"),
        migrations.RunSQL(WITH_WHATSAPP, WITHOUT_WHATSAPP),
    ]
