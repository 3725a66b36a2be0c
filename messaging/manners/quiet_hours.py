"""Quiet hours: what can wait does not go out at night where its reader is. What was just asked for goes at any hour.

A number may stand for several zones (a mobile of a large country, a toll-free one): then the text waits until it is
day in all of them. Where that never comes at once, or nothing is known of the number, the clinic's zone decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from messaging.manners.policy import HELD_FOR_THE_NIGHT, Policy, QuietHours, policy_of
from messaging.manners.recipient_zones import zones_of
from messaging.models import Message
from messaging.sending.holds import Hold, Undecided
from messaging.sending.priorities import can_wait
from voxanne.tenancy.plan_cache import ClinicKey

# A night that begins and ends within it has been seen whole, clocks put forward or back included.
LOOKED_AHEAD = timedelta(days=2)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
Zones = tuple[ZoneInfo, ...]


def waits_at_night(
    message: Message, clinic: ClinicKey, now: datetime, _undecided: Undecided = ()
) -> Hold | None:
    """The gate: holds what can wait back until it is day where its reader is."""
    policy = policy_of(clinic)
    if policy.quiet is None or not can_wait(message):
        return None
    awake_at = next_day(now, policy.quiet, zones_for(message.recipient, now, policy))
    if awake_at <= now:
        return None
    reason = (
        f"{HELD_FOR_THE_NIGHT} where this person is. It goes out from {policy.quiet.ends:%H:%M} their time."
    )
    return Hold(awake_at - now, reason)


def zones_for(recipient: str, now: datetime, policy: Policy) -> Zones:
    """The zones whose night counts for this person."""
    zones = zones_of(recipient)
    if policy.quiet is None or not zones or _day_in_all(now, policy.quiet, zones) is None:
        return (policy.zone,)
    return zones


def next_day(now: datetime, quiet: QuietHours, zones: Zones) -> datetime:
    """From when on it is day in all of the zones: ``now`` itself where it is. ``zones`` are of ``zones_for``."""
    found = _day_in_all(now, quiet, zones)
    assert found is not None
    return found


def next_night(now: datetime, quiet: QuietHours, zones: Zones) -> datetime:
    """When it is night next in any of the zones."""
    begins = (at for zone in zones for at in _at_local(quiet.begins, zone, now) if at > now)
    return min(begins, default=now + LOOKED_AHEAD)


def is_night(at: datetime, quiet: QuietHours, zone: ZoneInfo) -> bool:
    local = at.astimezone(zone).time()
    if quiet.begins < quiet.ends:
        return quiet.begins <= local < quiet.ends
    return local >= quiet.begins or local < quiet.ends


def _day_in_all(now: datetime, quiet: QuietHours, zones: Zones) -> datetime | None:
    """A night ends by the clock on the wall, or with a change of it: no other moment needs to be looked at."""

    def is_day(at: datetime) -> bool:
        return not any(is_night(at, quiet, zone) for zone in zones)

    if is_day(now):
        return now
    ends = {at for zone in zones for at in (*_at_local(quiet.ends, zone, now), *_changes(zone, now))}
    return next((at for at in sorted(ends) if at > now and is_day(at)), None)


def _at_local(clock: time, zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    """The moments about ``now`` and ahead at which the zone's clocks show ``clock``: twice in the night in which they
    are put back."""
    today = now.astimezone(zone).date()
    for days in range(-1, LOOKED_AHEAD // DAY + 2):
        for fold in (0, 1):
            local = datetime.combine(today + timedelta(days=days), clock, tzinfo=zone).replace(fold=fold)
            yield local.astimezone(UTC)


def _changes(zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    """The moment ahead at which the zone's clocks are put forward or back, to the second."""
    before, after = now.astimezone(UTC), now.astimezone(UTC) + LOOKED_AHEAD
    offset = before.astimezone(zone).utcoffset()
    if after.astimezone(zone).utcoffset() == offset:
        return
    before = before.replace(microsecond=0)
    while after - before > SECOND:
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    yield after
