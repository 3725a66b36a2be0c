"""How a played call goes: what each dialled leg does, how long it takes, and what goes wrong on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

OUTCOMES = ("answered", "voicemail", "no-answer", "busy", "failed", "canceled")
ANSWERED = ("answered", "voicemail")


class BadScript(ValueError):
    """The script cannot be understood; the message says why."""


@dataclass
class CallScript:
    """Seconds are real ones; ``duration`` is what Twilio reports instead of ``talk_seconds``.

    ``outcomes`` are taken one a ``<Dial>``, the last again if there are more. ``whisper_digits`` is what
    the callee presses when a whisper asks ("" presses nothing). ``hangs_up_after``: the caller leaves after
    so many seconds of ringing. ``lose_dial_result``: the dial's action is never asked.
    """

    outcomes: list[str] = field(default_factory=lambda: ["no-answer"])
    ring_seconds: float = 1.0
    talk_seconds: float = 2.0
    duration: int | None = None
    bridged: bool | None = None
    whisper_digits: str = "1"
    hangs_up_after: float | None = None
    lose_dial_result: bool = False
    repeat_dial_result: int = 1
    lose_status: bool = False
    forwarded_from: str = ""
    caller_name: str = ""

    def outcome(self, dial_number: int) -> str:
        """What the leg of the n-th ``<Dial>`` (from 0) does."""
        return self.outcomes[min(dial_number, len(self.outcomes) - 1)]


def script_from(asked: dict[str, Any]) -> CallScript:
    """A script from control JSON; ``outcome`` stands for a one-item ``outcomes``. Raises BadScript."""
    members = {name: value for name, value in asked.items() if name not in ("from", "to", "wait")}
    if "outcome" in members:
        members["outcomes"] = [members.pop("outcome")]
    unknown = set(members) - set(CallScript.__dataclass_fields__)
    if unknown:
        raise BadScript(f"Unknown members: {', '.join(sorted(unknown))}.")
    script = CallScript(**members)
    if not script.outcomes or set(script.outcomes) - set(OUTCOMES):
        raise BadScript(f"Each outcome is one of {', '.join(OUTCOMES)}.")
    return script
