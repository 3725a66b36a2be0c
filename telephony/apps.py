from __future__ import annotations

from django.apps import AppConfig


class TelephonyConfig(AppConfig):
    name = "telephony"
    verbose_name = "Calls"

    def ready(self) -> None:
        from bookings.patient_page.line import register_line
        from monitoring.retention import register_retention
        from telephony import monitored, readiness_checks, webhooks_monitored
        from telephony.api.idempotency import forget_old_keys
        from telephony.calls import register_recording_listener
        from telephony.clinics import number_patients_dial
        from telephony.commands import CALL_COMMAND
        from telephony.fire_drill import FIRE_DRILL
        from telephony.ledger import WEBHOOK
        from telephony.live import from_calls
        from telephony.recordings import RECORDING, forget_old_recordings, keep_what_is_reported
        from telephony.twilio import received_texts
        from telephony.vapi import events
        from voxanne.durable.registry import register

        for kind in (CALL_COMMAND, WEBHOOK, RECORDING, FIRE_DRILL):
            register(kind)
        for module in (events, received_texts, from_calls, monitored, webhooks_monitored, readiness_checks):
            module.register()
        register_line(number_patients_dial)
        register_recording_listener(keep_what_is_reported)
        register_retention("recordings", forget_old_recordings)
        register_retention("api_idempotency_keys", forget_old_keys)
