"""What the floors below are told about calls: periodic work, retention, and when a text's request leaves."""

from __future__ import annotations

from messaging.first_tries import on_first_try
from monitoring.retention import register_retention
from monitoring.schedule import register_periodic
from telephony.call_retention import cleanup_old_calls, forget_text_backs
from telephony.line_keeping import watch_changes
from telephony.missed_calls import note_first_try
from telephony.text_backs import KINDS

POLL_SECONDS = 30
KEEP_SECONDS = 300


def register() -> None:
    register_periodic("look up unsettled calls", "telephony.tasks.check_missed_calls", POLL_SECONDS)
    register_periodic("keep the last-known lines", "telephony.tasks.keep_last_known_lines", KEEP_SECONDS)
    register_retention("active_calls", cleanup_old_calls)
    register_retention("text_backs", forget_text_backs)
    on_first_try(KINDS, note_first_try)
    watch_changes()
