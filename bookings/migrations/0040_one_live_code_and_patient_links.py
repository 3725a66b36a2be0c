from __future__ import annotations

from typing import Any

from django.db import migrations, models
from django.db.models import Count

LIVE = ("held", "confirmed")

# Asked before the clinic is known; it tells ids only. Whether the token holds is checked within the clinic's scope.
LOOK_UP = """
CREATE FUNCTION clinic_of_visit(wanted uuid)
RETURNS TABLE (org_id uuid, plan_version bigint, appointment_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT o.id, o.plan_version, a.id FROM appointments a JOIN organizations o ON o.id = a.org_id
                 WHERE a.id = wanted AND o.active;
END $$;
"""
UNDO = "DROP FUNCTION clinic_of_visit(uuid);"


def give_twins_codes_of_their_own(apps: Any, schema_editor: Any) -> None:
    """Of live visits of a clinic that bear one code, the oldest keeps it. A chance of one in three million a pair."""
    from bookings.spoken import new_confirmation_code

    appointments = apps.get_model("bookings", "Appointment")._base_manager.using(schema_editor.connection.alias)
    live = appointments.filter(status__in=LIVE)
    twins = live.values("org_id", "confirmation_code").annotate(number=Count("id")).filter(number__gt=1).order_by()
    for twin in list(twins):
        of_code = live.filter(org_id=twin["org_id"], confirmation_code=twin["confirmation_code"])
        for pk in list(of_code.order_by("created_at").values_list("pk", flat=True)[1:]):
            code = new_confirmation_code()
            while live.filter(org_id=twin["org_id"], confirmation_code=code).exists():
                code = new_confirmation_code()
            appointments.filter(pk=pk).update(confirmation_code=code)


class Migration(migrations.Migration):
    dependencies = [("bookings", "0003_calendarpush_lost_leases")]

    operations = [
        migrations.RunPython(give_twins_codes_of_their_own, migrations.RunPython.noop, elidable=True),
        migrations.RemoveIndex(model_name="appointment", name="idx_appointments_code"),
        migrations.AddConstraint(
            model_name="appointment",
            constraint=models.UniqueConstraint(
                fields=("org", "confirmation_code"),
                condition=models.Q(("status__in", ["held", "confirmed"])),
                name="one_live_code_a_clinic",
            ),
        ),
        migrations.RunSQL(LOOK_UP, UNDO),
    ]
