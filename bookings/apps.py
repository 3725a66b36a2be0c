from __future__ import annotations

from django.apps import AppConfig


class BookingsConfig(AppConfig):
    name = "bookings"
    verbose_name = "Bookings"

    def ready(self) -> None:
        from bookings.calendars.push import CALENDAR_PUSH
        from bookings.opening import is_open_at
        from bookings.opted_out import tell_of_visits
        from messaging.conversation.opening import know_opening_by
        from messaging.manners.opted_out import on_opt_out
        from voxanne.durable.registry import register

        register(CALENDAR_PUSH)
        on_opt_out(tell_of_visits)
        know_opening_by(is_open_at)
