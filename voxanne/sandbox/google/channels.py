"""Push notifications: channels that watch a calendar's events.

A notification is an empty POST with ``X-Goog-*`` headers: ``sync`` first, then ``exists`` after changes.
Source: https://developers.google.com/workspace/calendar/api/guides/push
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import asdict, dataclass
from email.utils import formatdate
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.responses import JSONResponse, Response

from voxanne.sandbox.exchange import Exchange
from voxanne.sandbox.google.calendars import Calendar
from voxanne.sandbox.google.errors import GoogleError
from voxanne.sandbox.journal import Journal, Record
from voxanne.sandbox.webhooks import WebhookSender

LONGEST_SECONDS = 7 * 86_400
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass
class Channel:
    """One channel; ``expiration`` is a Unix time in seconds."""

    id: str
    calendar: str
    address: str
    token: str
    resource_id: str
    expiration: float
    messages: int = 0


class Channels:
    """Plain http is taken on this machine only; Google itself wants https with a valid certificate."""

    def __init__(self, journal: Journal, sender: WebhookSender) -> None:
        self._journal = journal
        self._sender = sender
        self._tasks: set[asyncio.Task[None]] = set()
        self.silent = False
        self.clear()

    def clear(self) -> None:
        self._channels: dict[str, Channel] = {}
        self.silent = False

    def listing(self) -> list[dict[str, Any]]:
        return [asdict(channel) for channel in self._channels.values()]

    async def watch(
        self, exchange: Exchange, calendar: Calendar, path: dict[str, str], email: str
    ) -> Response:
        body = exchange.json if isinstance(exchange.json, dict) else {}
        channel = self._channel(body, calendar)
        self._channels[channel.id] = channel
        self._journal.append("google.channel", asdict(channel))
        self._post(channel, "sync")
        return JSONResponse(
            {
                "kind": "api#channel",
                "id": channel.id,
                "resourceId": channel.resource_id,
                "resourceUri": _resource_uri(channel),
                "token": channel.token,
                "expiration": str(round(channel.expiration * 1000)),
            }
        )

    async def stop(self, exchange: Exchange, email: str) -> Response:
        body = exchange.json if isinstance(exchange.json, dict) else {}
        channel = self._channels.get(str(body.get("id")))
        if channel is None or channel.resource_id != body.get("resourceId"):
            raise GoogleError(404, message=f"Channel '{body.get('id')}' not found for project 'sandbox'")
        del self._channels[channel.id]
        self._journal.append("google.channel_stopped", {"id": channel.id})
        return Response(status_code=204)

    def changed(self, calendar: Calendar) -> None:
        """Tell every live channel of this calendar that something changed."""
        now = time.time()
        for channel in self._channels.values():
            if channel.calendar == calendar.id and channel.expiration > now and not self.silent:
                self._post(channel, "exists")

    def stop_all_posts(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    def records(self) -> list[Record]:
        return [("google.channel", asdict(channel)) for channel in self._channels.values()]

    def restore(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "google.channel":
            self._channels[data["id"]] = Channel(**data)
        else:
            self._channels.pop(data["id"], None)

    def _channel(self, body: dict[str, Any], calendar: Calendar) -> Channel:
        channel_id, address = str(body.get("id", "")), str(body.get("address", ""))
        if body.get("type") not in ("web_hook", "webhook"):
            raise GoogleError(400, "badRequest", "Unknown channel type")
        if not 1 <= len(channel_id) <= 64:
            raise GoogleError(400, "invalidValue", "Invalid channel id")
        if channel_id in self._channels:
            raise GoogleError(400, "channelIdNotUnique", f"Channel id {channel_id} not unique")
        parts = urlsplit(address)
        if parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise GoogleError(400, "webhookUrlNotHttps", f"WebHook callback must be HTTPS: {address}")
        latest = time.time() + LONGEST_SECONDS
        asked = float(body["expiration"]) / 1000 if body.get("expiration") else latest
        resource_id = hashlib.sha256(calendar.id.encode()).hexdigest()[:27]
        return Channel(
            channel_id, calendar.id, address, str(body.get("token", "")), resource_id, min(asked, latest)
        )

    def _post(self, channel: Channel, state: str) -> None:
        channel.messages += 1
        headers = {
            "User-Agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
            "X-Goog-Channel-Id": channel.id,
            "X-Goog-Channel-Token": channel.token,
            "X-Goog-Channel-Expiration": formatdate(channel.expiration, usegmt=True),
            "X-Goog-Resource-Id": channel.resource_id,
            "X-Goog-Resource-Uri": _resource_uri(channel),
            "X-Goog-Resource-State": state,
            "X-Goog-Message-Number": str(channel.messages),
        }
        task = asyncio.create_task(self._send(channel.address, headers))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, address: str, headers: dict[str, str]) -> None:
        await self._sender.post(address, headers=headers)


def _resource_uri(channel: Channel) -> str:
    name = quote(channel.calendar, safe="@")
    return f"https://www.googleapis.com/calendar/v3/calendars/{name}/events?alt=json"
