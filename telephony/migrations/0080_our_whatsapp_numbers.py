from __future__ import annotations

from django.db import migrations

# Under every name that a clinic's sender has, a text to it is one to a machine of ours. No blank is anybody's.
WITH_EVERY_NAME = """
CREATE OR REPLACE FUNCTION is_patient_number(wanted text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM phone_numbers p WHERE p.number = wanted)
        OR EXISTS (SELECT 1 FROM sender_accounts s WHERE s.number = wanted)
        OR EXISTS (SELECT 1 FROM sender_accounts s WHERE s.whatsapp_number = wanted AND s.whatsapp_number <> '');
END $$;
CREATE OR REPLACE FUNCTION is_number_of_another_clinic(wanted text, clinic uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN wanted <> '' AND (
        EXISTS (SELECT 1 FROM phone_numbers p WHERE p.number = wanted AND p.org_id <> clinic)
        OR EXISTS (SELECT 1 FROM sender_accounts s WHERE s.org_id <> clinic
                   AND wanted IN (s.number, s.whatsapp_number, s.messaging_service_sid)));
END $$;
"""
WITHOUT = """
CREATE OR REPLACE FUNCTION is_patient_number(wanted text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM phone_numbers p WHERE p.number = wanted)
        OR EXISTS (SELECT 1 FROM sender_accounts s WHERE s.number = wanted);
END $$;
CREATE OR REPLACE FUNCTION is_number_of_another_clinic(wanted text, clinic uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM phone_numbers p WHERE p.number = wanted AND p.org_id <> clinic)
        OR EXISTS (SELECT 1 FROM sender_accounts s WHERE s.number = wanted AND s.org_id <> clinic);
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("telephony", "0060_our_own_numbers"), ("messaging", "0111_whatsapp_rows")]

    operations = [migrations.RunSQL(WITH_EVERY_NAME, WITHOUT)]
