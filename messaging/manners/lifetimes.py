"""How long a text may lie at Twilio before the carrier takes it: past that Twilio drops it, and says so.

A text is of use until ``expires_at``, which whoever writes it sets by what it is about: a confirmation, a new time and
a cancellation until the visit begins, the text to a missed caller for two hours. Twilio's own limit is ten hours. What
can wait is handed over for an hour at most, and never into the night of its reader: what Twilio has, no gate of ours
holds back any more.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from messaging.manners.policy import policy_of
from messaging.manners.quiet_hours import next_night, zones_for
from messaging.models import Message
from messaging.sending.priorities import can_wait
from voxanne.tenancy.plan_cache import ClinicKey

LONGEST_OF_WHAT_CAN_WAIT = timedelta(hours=1)


def good_until(message: Message, clinic: ClinicKey, now: datetime) -> datetime:
    """Until when Twilio may hand this text to the carrier."""
    if not can_wait(message):
        return message.expires_at
    until = min(message.expires_at, now + LONGEST_OF_WHAT_CAN_WAIT)
    policy = policy_of(clinic)
    if policy.quiet is None:
        return until
    return min(until, next_night(now, policy.quiet, zones_for(message.recipient, now, policy)))
