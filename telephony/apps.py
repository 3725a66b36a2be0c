from __future__ import annotations

from django.apps import AppConfig


class TelephonyConfig(AppConfig):
    name = "telephony"
    verbose_name = "Calls"

    def ready(self) -> None:
        from bookings.patient_page.line import register_line
        from monitoring.retention import register_retention
        from telephony.api.idempotency import forget_old_keys
        from telephony.call_commands.commands import CALL_COMMAND
        from telephony.call_records import monitored as call_records
        from telephony.call_records.calls import register_recording_listener
        from telephony.clinics import number_patients_dial
        from telephony.live import from_calls
        from telephony.missed_calls import monitored as missed_calls
        from telephony.never_dead import monitored as never_dead
        from telephony.never_dead.fire_drill import FIRE_DRILL
        from telephony.recordings.keeping import RECORDING, forget_old_recordings, keep_what_is_reported
        from telephony.tool_chain import readiness_checks
        from telephony.twilio import received_texts
        from telephony.vapi import events
        from telephony.webhooks import monitored as webhooks
        from telephony.webhooks.ledger import WEBHOOK
        from voxanne.durable.registry import register

        for kind in (CALL_COMMAND, WEBHOOK, RECORDING, FIRE_DRILL):
            register(kind)
        for hearer in (events, received_texts, from_calls):
            hearer.register()
        for watched in (call_records, missed_calls, never_dead, webhooks, readiness_checks):
            watched.register()
        register_line(number_patients_dial)
        register_recording_listener(keep_what_is_reported)
        register_retention("recordings", forget_old_recordings)
        register_retention("api_idempotency_keys", forget_old_keys)
