from __future__ import annotations

from django.db import migrations

from voxanne.tenancy.plan_triggers import raises_plan_version
from voxanne.tenancy.row_security import ProtectRows

OWNED = (
    "phonenumber", "assistant", "vapicredential", "transferdestination", "call", "toolinvocation", "callcommand",
)

# Asked before the clinic is known; each tells ids only.
LOOK_UPS = """
CREATE FUNCTION clinic_of_vapi_secret(secret_digest text) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT c.org_id FROM vapi_credentials c JOIN organizations o ON o.id = c.org_id
                 WHERE c.digest = secret_digest AND c.active AND o.active;
END $$;
CREATE FUNCTION clinics_of_vapi_call(assistant text, number_id text, dialled text)
RETURNS TABLE (org_id uuid, plan_version bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT o.id, o.plan_version FROM organizations o
    WHERE o.active AND o.id IN (
        SELECT a.org_id FROM assistants a WHERE a.vapi_assistant_id = assistant AND assistant <> ''
        UNION SELECT p.org_id FROM phone_numbers p WHERE p.vapi_phone_number_id = number_id AND number_id <> ''
        UNION SELECT p.org_id FROM phone_numbers p WHERE p.number = dialled AND dialled <> '');
END $$;
CREATE FUNCTION is_patient_number(wanted text) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM phone_numbers p WHERE p.number = wanted);
END $$;
"""
UNDO = """
DROP FUNCTION clinic_of_vapi_secret(text);
DROP FUNCTION clinics_of_vapi_call(text, text, text);
DROP FUNCTION is_patient_number(text);
"""


class Migration(migrations.Migration):
    dependencies = [("telephony", "0001_initial"), ("tenancy", "0002_protect_rows")]

    operations = [*(ProtectRows(name) for name in OWNED), raises_plan_version("vapi_credentials"), migrations.RunSQL(LOOK_UPS, UNDO)]
