from __future__ import annotations

from django.db import migrations

# A number that patients dial and a number a clinic texts from are two tables' rows, often of the same number:
# each table lets one clinic have it, and this keeps the two from naming different ones. The lock lets one
# transaction at a time claim a number, so that neither overlooks the other's row that is not committed yet.
GUARD = """
CREATE FUNCTION is_number_of_another_clinic(wanted text, clinic uuid) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM phone_numbers p WHERE p.number = wanted AND p.org_id <> clinic)
        OR EXISTS (SELECT 1 FROM sender_accounts s WHERE s.number = wanted AND s.org_id <> clinic);
END $$;
CREATE FUNCTION refuse_number_of_another_clinic() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('number of a clinic: ' || NEW.number, 0));
    IF is_number_of_another_clinic(NEW.number, NEW.org_id) THEN
        RAISE EXCEPTION 'This number belongs to another clinic.'
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'a_number_belongs_to_one_clinic', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER a_number_belongs_to_one_clinic AFTER INSERT OR UPDATE OF number, org_id ON phone_numbers
    FOR EACH ROW EXECUTE FUNCTION refuse_number_of_another_clinic();
CREATE TRIGGER a_number_belongs_to_one_clinic AFTER INSERT OR UPDATE OF number, org_id ON sender_accounts
    FOR EACH ROW EXECUTE FUNCTION refuse_number_of_another_clinic();
"""
UNDO = """
DROP TRIGGER a_number_belongs_to_one_clinic ON sender_accounts;
DROP TRIGGER a_number_belongs_to_one_clinic ON phone_numbers;
DROP FUNCTION refuse_number_of_another_clinic();
DROP FUNCTION is_number_of_another_clinic(text, uuid);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("telephony", "0030_tool_registrations"),
        ("messaging", "0006_look_ups_tell_the_plan_version"),
    ]

    operations = [migrations.RunSQL(GUARD, UNDO)]
