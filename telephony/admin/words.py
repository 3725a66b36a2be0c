"""The agent's tools and what came of them, in words for the people at the desk."""

from __future__ import annotations

from telephony.models import ToolInvocation

TOOLS = {
    "checkAvailability": "Looked for free times",
    "bookClinicAppointment": "Book a visit",
    "lookupCaller": "Looked the caller up",
    "transferCall": "Put the caller through",
    "endCall": "End the call",
    "rescheduleAppointment": "Move a visit",
    "cancelAppointment": "Cancel a visit",
    "takeMessage": "Take a message",
    "queryKnowledgeBase": "Looked a question up",
}
OUTCOMES = {
    "": "Not finished",
    "ok": "Done",
    "error": "Failed",
    "missing_argument": "The caller left something out",
    "after_hours": "Nobody answers there at that hour",
    "no_destination": "Nowhere to put the caller through to",
    "in_the_past": "The time was past",
    "invalid_date": "No such date",
    "invalid_time": "No such time",
    "invalid_duration": "Not that length",
    "invalid_phone": "No complete phone number",
    "outside_hours": "Outside opening hours",
    "slot_unavailable": "The time was taken",
    "too_far_ahead": "Too far ahead",
    "too_soon": "Too soon",
    "unknown_provider": "No such provider",
    "unknown_service": "No such service",
    "unknown_visit": "The visit was not found",
}


def tool_in_words(name: str) -> str:
    return TOOLS.get(name, name)


def outcome_in_words(invocation: ToolInvocation) -> str:
    code = invocation.outcome
    return OUTCOMES.get(code, code.replace("_", " ").replace("-", " ").capitalize())
