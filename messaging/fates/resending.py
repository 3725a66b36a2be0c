"""A text that Twilio took and could not deliver: whether it is sent once more, and when.

Only a code that says both that the text is not on the phone and that the reason passes leads to another try. What
nobody knows (30410, unknown codes) may lie on the phone already. How long a reason lasts differs by code; without a
wait of its own a code has those of a refused try. The tries before count: a text is never tried more than six times.

Source: Twilio's error dictionary, 30003 (out of reach), 30008 (unknown), 30023 and 30027 (daily limits, which end at
midnight US Pacific time), 30610 (quiet hours), 63038 (daily limit of the account).
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from messaging.models import Message
from messaging.providers.answers import TryOutcome
from messaging.providers.twilio import outcomes
from messaging.sending.waits import RETRY_WAITS, longer
from messaging.states import MessageState

MINUTE, HOUR = 60, 3600
# Seconds before the second try, the third and so on; after as many the text is given up.
OF_CODE: dict[int, tuple[int, ...]] = {
    30003: (30 * MINUTE, 2 * HOUR),
    30008: (MINUTE,),
    30610: (HOUR, 2 * HOUR, 4 * HOUR, 4 * HOUR, 4 * HOUR),
    63038: (2 * HOUR, 4 * HOUR, 8 * HOUR, 16 * HOUR),
}
UNTIL_MIDNIGHT = frozenset({30023, 30027})
MOST_MIDNIGHTS = 2
PACIFIC = ZoneInfo("America/Los_Angeles")
# From these a receipt may put a text back in the queue by itself; what was given up is a person's to decide.
RESENT_FROM = (MessageState.SENT, MessageState.SENDING, MessageState.UNKNOWN)
AGAIN = " It is sent again by itself."
NO_TIME = " There was no time left to send it again."


def wait_before_resend(message: Message, status: str, code: int | None, now: datetime) -> timedelta | None:
    """How long to wait before the text is sent again, judged by a receipt's status and code; None where it is not."""
    if message.state not in RESENT_FROM:
        return None
    if outcomes.outcome_of_receipt(status, code).outcome is not TryOutcome.REFUSED_FOR_NOW:
        return None
    # The try that is still under way is not counted yet.
    tries = message.attempts + (message.state == MessageState.SENDING)
    return _wait(code or 0, max(tries, 1), now)


def _wait(code: int, tries: int, now: datetime) -> timedelta | None:
    if code in UNTIL_MIDNIGHT:
        return _until_midnight(now) if tries <= MOST_MIDNIGHTS else None
    waits = OF_CODE.get(code, RETRY_WAITS)
    return timedelta(seconds=waits[tries - 1] * longer()) if tries <= len(waits) else None


def _until_midnight(now: datetime) -> timedelta:
    tomorrow = now.astimezone(PACIFIC).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), PACIFIC) - now + timedelta(seconds=MINUTE * longer())
