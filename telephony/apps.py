from __future__ import annotations

from django.apps import AppConfig


class TelephonyConfig(AppConfig):
    name = "telephony"
    verbose_name = "Calls"

    def ready(self) -> None:
        from telephony import monitored
        from telephony.commands import CALL_COMMAND
        from telephony.ledger import WEBHOOK
        from telephony.twilio import received_texts
        from telephony.vapi import events
        from voxanne.durable.registry import register

        register(CALL_COMMAND)
        register(WEBHOOK)
        events.register()
        received_texts.register()
        monitored.register()
