"""The one way to alert a person: a message in Slack, masked, and the same thing not twice in a short while.

Nobody waits for it. Slack away costs the message, never the caller; the log has it in any case.
Source of the wire format: Slack's Web API, chat.postMessage.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import requests
import structlog
from django.conf import settings

from monitoring import redis_link
from monitoring.aside import aside
from monitoring.masking import mask, mask_text
from monitoring.redis_link import RedisAway

logger = structlog.get_logger(__name__)

TIMEOUT = (2.0, 5.0)
LONGEST_RETRY_AFTER = 10.0
# After a post that failed, the same alert may try again this soon.
RETRY_AFTER_FAILURE_SECONDS = 30

Fact = str | int | float


class Severity(StrEnum):
    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


# The same fingerprint speaks once in this many seconds; what it would have said meanwhile is counted.
WINDOW_SECONDS = {Severity.CRITICAL: 300, Severity.WARNING: 900, Severity.INFO: 60}
SIGNS = {
    Severity.CRITICAL: ":rotating_light:",
    Severity.WARNING: ":warning:",
    Severity.INFO: ":white_check_mark:",
}


@dataclass(frozen=True, slots=True)
class Alert:
    """``fingerprint`` names the fault, such as ``late:sweep``; ``title`` is one sentence; ``facts`` are ids,
    counts and times, never anything about a patient."""

    severity: Severity
    fingerprint: str
    title: str
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SlackChannel:
    """Where messages are posted, and as whom."""

    base_url: str
    token: str = field(repr=False)
    name: str


def configured_channel() -> SlackChannel:
    return SlackChannel(settings.SLACK_API_BASE_URL, settings.SLACK_BOT_TOKEN, settings.SLACK_ALERTS_CHANNEL)


class NotPosted(Exception):
    """Slack did not take the message; the text says why."""


def alert(severity: Severity, fingerprint: str, title: str, **facts: Fact) -> None:
    """Tells a person, soon. Returns at once and never raises."""
    raised = Alert(severity, fingerprint, title, facts)
    aside("alert", lambda: deliver(raised))


def is_over(fingerprint: str) -> None:
    """The fault has ended: should it come again, that is news, however soon. Returns at once and never raises; in turn
    with what ``alert`` was given before and after."""
    aside("alert is over", lambda: throttle.end(fingerprint))


def deliver(raised: Alert) -> bool:
    """Posts the alert unless it spoke a moment ago; True when it was posted or, without Slack, logged."""
    held = throttle.admit(raised.fingerprint, WINDOW_SECONDS[raised.severity])
    if held is None:
        return False
    _log(raised, held)
    channel = configured_channel()
    if not channel.token:
        return True
    try:
        post(text_of(raised, held), channel)
    except NotPosted as error:
        logger.warning("alert_not_posted", fingerprint=raised.fingerprint, reason=str(error))
        throttle.shorten(raised.fingerprint, RETRY_AFTER_FAILURE_SECONDS)
        return False
    return True


def _log(raised: Alert, held: int) -> None:
    level = logger.info if raised.severity == Severity.INFO else logger.error
    level("alert", severity=raised.severity.value, fingerprint=raised.fingerprint, title=raised.title, held=held,
          facts=dict(raised.facts))  # fmt: skip


def text_of(raised: Alert, held: int = 0) -> str:
    """What Slack shows: masked, and with Slack's own markup made harmless."""
    facts: dict[str, Any] = {"environment": settings.VOXANNE_ENV, **mask(dict(raised.facts))}
    lines = [f"{SIGNS[raised.severity]} *{_plain(raised.title)}*"]
    lines += [f"• {_plain(name)}: {_plain(str(value))}" for name, value in facts.items()]
    if held:
        lines.append(f"• {held} more of the same since the last message")
    return "\n".join(lines)


def _plain(text: str) -> str:
    return mask_text(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def post(text: str, channel: SlackChannel) -> None:
    """One message to a channel; waits once where Slack asks for it. Raises NotPosted."""
    response = _request(text, channel)
    if response.status_code == requests.codes.too_many:
        time.sleep(min(_seconds(response.headers.get("Retry-After")), LONGEST_RETRY_AFTER))
        response = _request(text, channel)
    if response.status_code != requests.codes.ok:
        raise NotPosted(f"Slack answered {response.status_code}.")
    try:
        body = response.json()
    except ValueError as error:
        raise NotPosted("Slack's answer was not JSON.") from error
    if not isinstance(body, dict) or not body.get("ok"):
        reason = body.get("error") if isinstance(body, dict) else None
        raise NotPosted(f"Slack refused: {reason or 'no reason given'}.")


def _request(text: str, channel: SlackChannel) -> requests.Response:
    try:
        return requests.post(
            f"{channel.base_url}/api/chat.postMessage",
            json={"channel": channel.name, "text": text, "unfurl_links": False},
            headers={"Authorization": f"Bearer {channel.token}"},
            timeout=TIMEOUT,
        )
    except requests.RequestException as error:
        raise NotPosted(f"Slack cannot be reached: {type(error).__name__}.") from error


def _seconds(value: str | None) -> float:
    return float(value) if value and value.isdigit() else 1.0


class Throttle:
    """Lets a fingerprint through once a window; shared by all processes, by this one alone without Redis."""

    def __init__(self) -> None:
        self._local: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def admit(self, fingerprint: str, window_seconds: int) -> int | None:
        """How many were held back since the last that was let through; None to hold this one back."""
        try:
            return redis_link.link().call(lambda redis: self._shared(redis, fingerprint, window_seconds))
        except RedisAway:
            return self._alone(fingerprint, window_seconds)

    def shorten(self, fingerprint: str, seconds: int) -> None:
        """Ends the fingerprint's window ``seconds`` from now."""
        with self._lock:
            _, held = self._local.get(fingerprint, (0.0, 0))
            self._local[fingerprint] = (time.monotonic() + seconds, held)
        try:
            redis_link.link().call(lambda redis: redis.expire(_key(fingerprint), seconds))
        except RedisAway:
            logger.info("throttle_kept_locally", fingerprint=fingerprint)

    def end(self, fingerprint: str) -> None:
        """Ends the fingerprint's window now, and forgets what was held back in it."""
        with self._lock:
            self._local.pop(fingerprint, None)
        try:
            redis_link.link().call(lambda redis: redis.delete(_key(fingerprint), _held_key(fingerprint)))
        except RedisAway:
            logger.info("throttle_kept_locally", fingerprint=fingerprint)

    def _shared(self, redis: Any, fingerprint: str, window_seconds: int) -> int | None:
        held = _held_key(fingerprint)
        if redis.set(_key(fingerprint), 1, nx=True, ex=window_seconds):
            return int(redis.getdel(held) or 0)
        redis.pipeline().incr(held).expire(held, 24 * 3600).execute()
        return None

    def _alone(self, fingerprint: str, window_seconds: int) -> int | None:
        now = time.monotonic()
        with self._lock:
            until, held = self._local.get(fingerprint, (0.0, 0))
            if now < until:
                self._local[fingerprint] = (until, held + 1)
                return None
            self._local[fingerprint] = (now + window_seconds, 0)
            return held


def _key(fingerprint: str) -> str:
    return redis_link.key("alert", fingerprint)


def _held_key(fingerprint: str) -> str:
    return f"{_key(fingerprint)}:held"


throttle = Throttle()
