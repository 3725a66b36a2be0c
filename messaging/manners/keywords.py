"""Words that stand alone in a text and mean something to carriers: Twilio's default opt-out keywords."""

from __future__ import annotations

STOP, START, HELP = "STOP", "START", "HELP"
STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START_WORDS = frozenset({"START", "UNSTOP", "YES"})
HELP_WORDS = frozenset({"HELP", "INFO"})
