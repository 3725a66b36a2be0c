"""What the floors below are told about missed calls: periodic work, retention, and when a text's request leaves."""

from __future__ import annotations

from messaging.sending.first_tries import on_first_try
from monitoring.alerts import Fact
from monitoring.retention import register_retention
from monitoring.schedule import register_periodic
from monitoring.thresholds import Breach, register_threshold
from telephony.missed_calls.retention import cleanup_old_calls, forget_text_backs
from telephony.missed_calls.settling import note_first_try
from telephony.missed_calls.text_backs import KINDS
from voxanne.statements import Statement

SIZE = Statement("SELECT pg_total_relation_size('active_calls')")
MEGABYTE = 1024 * 1024
MOST_BYTES = 10 * MEGABYTE
POLL_SECONDS = 30


def followed_calls() -> list[Breach]:
    """The calls that are followed: more than a week of them means that the clean-up does not run."""
    row = SIZE.row()
    size = int(row[0]) if row else 0
    if size <= MOST_BYTES:
        return []
    facts: dict[str, Fact] = {"mb": round(size / MEGABYTE, 1), "most_mb": MOST_BYTES // MEGABYTE}
    return [Breach("active_calls", "The table of followed calls grows: see that its clean-up runs.", facts)]


def register() -> None:
    register_periodic("look up unsettled calls", "telephony.tasks.check_missed_calls", POLL_SECONDS)
    register_retention("active_calls", cleanup_old_calls)
    register_retention("text_backs", forget_text_backs)
    register_threshold("followed calls", followed_calls)
    on_first_try(KINDS, note_first_try)
