"""What the end of a dial says: whether anybody took the call (contract, section 4).

Sources: Twilio's Dial verb (DialCallStatus, DialBridged, DialCallDuration) and its Calls resource. ``completed`` also
means that a voicemail or a menu picked up, so it is believed only where the two lines were joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from telephony.models import ActiveCall

NOBODY_TOOK_IT = frozenset({"no-answer", "busy", "failed", "canceled"})
TAKEN = frozenset({"completed", "answered"})
STILL_GOING_ON = frozenset({"queued", "initiated", "ringing", "in-progress"})
ENDED = NOBODY_TOOK_IT | {"completed"}


class Verdict(StrEnum):
    MISSED = "missed"
    ANSWERED = "answered"
    ACTIVE = "active"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a number's owner asks of a call before it counts as taken, and how the callee answered the whisper."""

    whisper_wanted: bool = False
    whisper: str = ""
    voicemail_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a dialled leg stands. ``bridged`` is None where that is not told."""

    status: str
    bridged: bool | None = None
    seconds: int | None = None


# An assistant is asked for no digit and has no voicemail.
NO_TERMS = Terms()


def verdict_of(leg: Ended, terms: Terms) -> Verdict:
    """UNCLEAR for a status that Twilio does not document."""
    if leg.status in NOBODY_TOOK_IT:
        return Verdict.MISSED
    if leg.status in STILL_GOING_ON:
        return Verdict.ACTIVE
    if leg.status not in TAKEN:
        return Verdict.UNCLEAR
    if leg.bridged is False or _refused(leg, terms) or _went_to_voicemail(leg, terms):
        return Verdict.MISSED
    return Verdict.ANSWERED


def _refused(leg: Ended, terms: Terms) -> bool:
    """No digit is no acceptance either, save where Twilio itself says that the lines were joined: then it is the word
    of the callee that did not reach us."""
    if terms.whisper == ActiveCall.Whisper.REFUSED:
        return True
    return terms.whisper_wanted and terms.whisper != ActiveCall.Whisper.ACCEPTED and leg.bridged is not True


def _went_to_voicemail(leg: Ended, terms: Terms) -> bool:
    return leg.seconds is not None and leg.seconds < terms.voicemail_seconds
