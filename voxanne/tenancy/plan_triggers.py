"""The triggers that raise a clinic's ``plan_version``, as a migration operation (see ``plan_cache``)."""

from __future__ import annotations

from django.db.migrations.operations import RunSQL


def raises_plan_version(*tables: str) -> RunSQL:
    """Any change to these tables' rows raises the version of the clinic they belong to."""
    made = "".join(
        f"CREATE TRIGGER plan_version_rises AFTER INSERT OR UPDATE OR DELETE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION raise_plan_version();"
        for table in tables
    )
    return RunSQL(made, "".join(f"DROP TRIGGER plan_version_rises ON {table};" for table in tables))
