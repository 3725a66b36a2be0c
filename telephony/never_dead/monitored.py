"""What the floors below are told about the lines kept outside the database, and about fire drills."""

from __future__ import annotations

from monitoring.readiness import register_check
from monitoring.retention import register_retention
from monitoring.schedule import register_periodic
from telephony.never_dead.fire_drill import forget_fire_drills
from telephony.never_dead.line_keeping import watch_changes
from telephony.never_dead.readiness_checks import fire_drills

KEEP_SECONDS = 300


def register() -> None:
    register_periodic("keep the last-known lines", "telephony.tasks.keep_last_known_lines", KEEP_SECONDS)
    register_retention("fire_drills", forget_fire_drills)
    register_check("fire drills", fire_drills)
    watch_changes()
