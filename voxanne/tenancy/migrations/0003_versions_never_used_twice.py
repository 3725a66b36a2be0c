from __future__ import annotations

from django.db import migrations

# A version that was rolled back must not come again with other values behind it: whoever cached them under it
# would go on serving what never was. Sequences do not roll back.
NEW = """
CREATE SEQUENCE plan_versions;
SELECT setval('plan_versions', (SELECT coalesce(max(plan_version), 1) FROM organizations));

CREATE OR REPLACE FUNCTION raise_own_plan_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.plan_version := nextval('plan_versions');
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION raise_plan_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- A row that changes hands changes both clinics' plans. The version itself is the other trigger's to set.
    IF TG_OP <> 'INSERT' THEN
        UPDATE organizations SET plan_version = plan_version WHERE id = OLD.org_id;
    END IF;
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.org_id <> OLD.org_id) THEN
        UPDATE organizations SET plan_version = plan_version WHERE id = NEW.org_id;
    END IF;
    RETURN NULL;
END $$;
"""
OLD = """
CREATE OR REPLACE FUNCTION raise_own_plan_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.plan_version = OLD.plan_version THEN
        NEW.plan_version := OLD.plan_version + 1;
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION raise_plan_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE organizations SET plan_version = plan_version + 1
    WHERE id = CASE WHEN TG_OP = 'DELETE' THEN OLD.org_id ELSE NEW.org_id END;
    RETURN NULL;
END $$;
DROP SEQUENCE plan_versions;
"""


class Migration(migrations.Migration):
    dependencies = [("tenancy", "0002_protect_rows")]

    operations = [migrations.RunSQL(NEW, OLD)]
