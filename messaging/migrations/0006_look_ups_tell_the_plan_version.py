from __future__ import annotations

from django.db import migrations

DROP = """
DROP FUNCTION clinic_of_message(uuid);
DROP FUNCTION message_of_sid(text);
DROP FUNCTION clinic_of_sender(text);
"""

# With the version, what is kept in memory of the clinic's sender is known to be current.
WITH_VERSION = """
CREATE FUNCTION clinic_of_message(wanted uuid) RETURNS TABLE (org_id uuid, plan_version bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT o.id, o.plan_version FROM sms_delivery_log m JOIN organizations o ON o.id = m.org_id
                 WHERE m.id = wanted;
END $$;
CREATE FUNCTION message_of_sid(wanted text) RETURNS TABLE (org_id uuid, plan_version bigint, message_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT o.id, o.plan_version, m.id
                 FROM sms_delivery_log m JOIN organizations o ON o.id = m.org_id
                 WHERE m.provider_sid = wanted AND wanted <> '';
END $$;
CREATE FUNCTION clinic_of_sender(wanted text) RETURNS TABLE (org_id uuid, plan_version bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT o.id, o.plan_version FROM sender_accounts s JOIN organizations o ON o.id = s.org_id
                 WHERE o.active AND wanted IN (s.number, nullif(s.messaging_service_sid, ''));
END $$;
"""

WITHOUT_VERSION = """
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
CREATE FUNCTION clinic_of_sender(wanted text) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT s.org_id FROM sender_accounts s JOIN organizations o ON o.id = s.org_id
                 WHERE o.active AND wanted IN (s.number, nullif(s.messaging_service_sid, ''));
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("messaging", "0005_find_a_days_deliveries")]

    operations = [migrations.RunSQL(DROP + WITH_VERSION, DROP + WITHOUT_VERSION)]
