from __future__ import annotations

from django.db import migrations

# A number that a clinic texts from is ours too, also where no call is taken on it.
WITH_SENDERS = """
CREATE OR REPLACE FUNCTION is_patient_number(wanted text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM phone_numbers p WHERE p.number = wanted)
        OR EXISTS (SELECT 1 FROM sender_accounts s WHERE s.number = wanted);
END $$;
"""
WITHOUT_SENDERS = """
CREATE OR REPLACE FUNCTION is_patient_number(wanted text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM phone_numbers p WHERE p.number = wanted);
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("telephony", "0051_protect_recordings"), ("messaging", "0060_pauses")]

    operations = [migrations.RunSQL(WITH_SENDERS, WITHOUT_SENDERS)]
