from __future__ import annotations

from django.apps import AppConfig


class MessagingConfig(AppConfig):
    name = "messaging"
    verbose_name = "Messages"

    def ready(self) -> None:
        from messaging import monitored, readiness_checks
        from messaging.fates import silent
        from messaging.sending.delivery import SMS_DELIVERY
        from messaging.undelivered.bulk_acts import BULK_ACT
        from monitoring.schedule import register_periodic
        from voxanne.durable.registry import register

        register(SMS_DELIVERY)
        register(BULK_ACT)
        register_periodic(silent.JOB, "messaging.tasks.ask_for_receipts", silent.EVERY_SECONDS)
        monitored.register()
        readiness_checks.register()
