"""Staff pages for contacts, texts, and what a clinic says."""

from __future__ import annotations

from messaging.admin import contacts, messages, senders, staff_tasks, texting_rules, whatsapp, wording

__all__ = ["contacts", "messages", "senders", "staff_tasks", "texting_rules", "whatsapp", "wording"]
