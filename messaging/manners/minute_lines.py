"""Where a clinic's count of texts, and the lines of those that wait for a minute to have room, are kept in Redis."""

from __future__ import annotations

from uuid import UUID

from monitoring import redis_link
from monitoring.redis_link import RedisAway

ASKED_FOR, CAN_WAIT = "asked", "waiting"


def root(org_id: UUID) -> str:
    """What the clinic's keys begin with. The braces keep them together where Redis is a cluster."""
    return redis_link.key("budget", f"{{{org_id}}}")


def line(org_id: UUID, priority: int) -> str:
    """The line of what was asked for, or of what can wait."""
    return _line(org_id, ASKED_FOR if priority == 0 else CAN_WAIT)


def forget(org_id: UUID) -> None:
    """Empties both lines: their places were given by rules that hold no more. What went out in the last minute is
    remembered."""
    keys = [_line(org_id, kind) for kind in (ASKED_FOR, CAN_WAIT)]
    try:
        redis_link.link().call(lambda client: client.delete(*keys))
    except RedisAway:
        return


def _line(org_id: UUID, kind: str) -> str:
    return f"{root(org_id)}:line:{kind}"
