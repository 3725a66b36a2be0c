"""Staff pages for contacts, texts, and what a clinic says."""

from __future__ import annotations

from messaging.admin import contacts, messages, staff_tasks, wording

__all__ = ["contacts", "messages", "staff_tasks", "wording"]
