from __future__ import annotations

from django.apps import AppConfig


class TelephonyConfig(AppConfig):
    name = "telephony"
    verbose_name = "Calls"

    def ready(self) -> None:
        from bookings.patient_page.line import register_line
        from monitoring.retention import register_retention
        from telephony.api.idempotency import forget_old_keys
        from telephony.clinics import number_patients_dial
        from telephony.commands import CALL_COMMAND
        from voxanne.durable.registry import register

        register(CALL_COMMAND)
        register_line(number_patients_dial)
        register_retention("api_idempotency_keys", forget_old_keys)
