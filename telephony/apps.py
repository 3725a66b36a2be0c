from __future__ import annotations

from django.apps import AppConfig


class TelephonyConfig(AppConfig):
    name = "telephony"
    verbose_name = "Calls"

    def ready(self) -> None:
        from monitoring.retention import register_retention
        from telephony.commands import CALL_COMMAND
        from telephony.recordings import RECORDING, forget_old_recordings
        from voxanne.durable.registry import register

        register(CALL_COMMAND)
        register(RECORDING)
        register_retention("recordings", forget_old_recordings)
