from __future__ import annotations

from django.apps import AppConfig


class TelephonyConfig(AppConfig):
    name = "telephony"
    verbose_name = "Calls"

    def ready(self) -> None:
        from telephony import monitored, readiness_checks
        from telephony.commands import CALL_COMMAND
        from telephony.fire_drill import FIRE_DRILL
        from voxanne.durable.registry import register

        register(CALL_COMMAND)
        readiness_checks.register()
        register(FIRE_DRILL)
        monitored.register()
