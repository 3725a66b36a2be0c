"""Staff pages for contacts, texts, and what a clinic says."""

from __future__ import annotations

from messaging.admin import (
    contacts,
    conversations,
    messages,
    senders,
    staff_tasks,
    texting_rules,
    whatsapp,
    wording,
)

__all__ = [
    "contacts",
    "conversations",
    "messages",
    "senders",
    "staff_tasks",
    "texting_rules",
    "whatsapp",
    "wording",
]
