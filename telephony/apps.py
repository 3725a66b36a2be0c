from __future__ import annotations

from django.apps import AppConfig


class TelephonyConfig(AppConfig):
    name = "telephony"
    verbose_name = "Calls"

    def ready(self) -> None:
        from monitoring.retention import register_retention
        from telephony.api.idempotency import forget_old_keys
        from telephony.commands import CALL_COMMAND
        from voxanne.durable.registry import register

        register(CALL_COMMAND)
        register_retention("api_idempotency_keys", forget_old_keys)
