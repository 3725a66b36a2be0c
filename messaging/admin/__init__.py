"""Staff pages for contacts, texts, and what a clinic says."""

from __future__ import annotations

from messaging.admin import (
    bulk_acts,
    contacts,
    conversations,
    held_up,
    messages,
    senders,
    staff_tasks,
    texting_rules,
    undelivered,
    whatsapp,
    wording,
)

__all__ = [
    "bulk_acts",
    "contacts",
    "conversations",
    "held_up",
    "messages",
    "senders",
    "staff_tasks",
    "texting_rules",
    "undelivered",
    "whatsapp",
    "wording",
]
