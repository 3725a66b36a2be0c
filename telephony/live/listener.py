"""One socket's way out: what waits to be sent to it, bounded, so that a slow one holds up nobody."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from telephony.live.stream import Event
from telephony.live.watchers import Rights

MOST_BYTES_WAITING = 1_000_000
# More than this is not replayed: the picture of now is shorter.
MOST_BYTES_REPLAYED = MOST_BYTES_WAITING // 2

# Closes, after accepting.
NOT_SIGNED_IN, NOT_ALLOWED, TOO_MANY = 4401, 4403, 4429
# RFC 6455: try again later. The client was too slow, or the database is away; it may connect and resume.
TRY_AGAIN_LATER = 1013

TRANSCRIPT = "transcript"


def message(kind: str, seq: int, org_id: UUID, data: Mapping[str, Any]) -> str:
    """A message as it goes out."""
    told = {"type": kind, "seq": seq, "orgId": str(org_id), "data": data}
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)


class Telling:
    """One event, written once for all who may read it whole and once for those who may not.

    Those get a transcript's number without its words, so that nobody's numbers have gaps.
    """

    def __init__(self, org_id: UUID, event: Event) -> None:
        self.event = event
        self.whole = message(event.kind, event.seq, org_id, event.data)
        self.withheld = self.whole
        if event.kind == TRANSCRIPT:
            kept = {"callId": event.data.get("callId"), "withheld": True}
            self.withheld = message(event.kind, event.seq, org_id, kept)

    def text_for(self, rights: Rights) -> str:
        return self.whole if rights.reads_transcripts else self.withheld


class Listener:
    """What one socket is told, in order. ``rights`` and ``positions`` are by clinic."""

    def __init__(self, rights: Mapping[UUID, Rights]) -> None:
        self.rights = dict(rights)
        self.positions: dict[UUID, int] = {}
        self.closing: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._texts: deque[str] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()

    def tell_event(self, org_id: UUID, telling: Telling) -> None:
        """The clinic's next event; one that was told before, or is part of a snapshot, is passed over."""
        rights = self.rights.get(org_id)
        if rights is not None and telling.event.seq > self.positions.get(org_id, -1):
            self.positions[org_id] = telling.event.seq
            self.tell(telling.text_for(rights))

    def tell(self, text: str) -> None:
        """Puts a message behind those that wait; too much waiting ends the socket."""
        if self.closing.done():
            return
        self._bytes += len(text)
        if self._bytes > MOST_BYTES_WAITING:
            self._texts.clear()
            self.close(TRY_AGAIN_LATER)
            return
        self._texts.append(text)
        self._filled.set()

    def close(self, code: int) -> None:
        if not self.closing.done():
            self.closing.set_result(code)

    async def next_text(self) -> str:
        while not self._texts:
            self._filled.clear()
            await self._filled.wait()
        text = self._texts.popleft()
        self._bytes -= len(text)
        return text
