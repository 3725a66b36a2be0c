from __future__ import annotations

from django.contrib.postgres.operations import BtreeGistExtension
from django.db import migrations

from voxanne.tenancy.row_security import ProtectRows

PLAN_VERSION = """
CREATE FUNCTION raise_own_plan_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.plan_version = OLD.plan_version THEN
        NEW.plan_version := OLD.plan_version + 1;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER plan_version_rises BEFORE UPDATE ON organizations
    FOR EACH ROW EXECUTE FUNCTION raise_own_plan_version();

CREATE FUNCTION raise_plan_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE organizations SET plan_version = plan_version + 1
    WHERE id = CASE WHEN TG_OP = 'DELETE' THEN OLD.org_id ELSE NEW.org_id END;
    RETURN NULL;
END $$;
"""

CLINICS_OF_USER = """
CREATE FUNCTION clinics_of_user(person bigint) RETURNS TABLE (org_id uuid, role varchar)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT m.org_id, m.role FROM memberships m JOIN organizations o ON o.id = m.org_id
                 WHERE m.user_id = person AND o.active;
END $$;
CREATE FUNCTION clinic_of_slug(wanted text) RETURNS TABLE (org_id uuid, plan_version bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT o.id, o.plan_version FROM organizations o WHERE o.slug = wanted AND o.active;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("tenancy", "0001_initial")]

    operations = [
        BtreeGistExtension(),
        ProtectRows("organization", column="id"),
        ProtectRows("membership"),
        ProtectRows("auditentry"),
        migrations.RunSQL(
            PLAN_VERSION,
            "DROP TRIGGER plan_version_rises ON organizations;"
            "DROP FUNCTION raise_own_plan_version(); DROP FUNCTION raise_plan_version();",
        ),
        migrations.RunSQL(CLINICS_OF_USER, "DROP FUNCTION clinics_of_user(bigint); DROP FUNCTION clinic_of_slug(text);"),
    ]
