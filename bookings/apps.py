from __future__ import annotations

from django.apps import AppConfig


class BookingsConfig(AppConfig):
    name = "bookings"
    verbose_name = "Bookings"

    def ready(self) -> None:
        from bookings.calendars.push import CALENDAR_PUSH
        from voxanne.durable.registry import register

        register(CALENDAR_PUSH)
