"""Staff pages for the clinic's day: visits, and what can be booked."""

from __future__ import annotations

from bookings.admin import appointments, calendars, plan, today

__all__ = ["appointments", "calendars", "plan", "today"]
