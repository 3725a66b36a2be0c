"""Staff pages for contacts, texts, and what a clinic says."""

from __future__ import annotations

from messaging.admin import contacts, conversations, messages, senders, staff_tasks, wording

__all__ = ["contacts", "conversations", "messages", "senders", "staff_tasks", "wording"]
