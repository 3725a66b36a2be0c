"""The pages ``/`` and ``/phone`` and what they load; nothing comes from elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from voxanne.sandbox.phone.view import PhoneView
from voxanne.sandbox.state import Sandbox

ASSETS = Path(__file__).parent / "assets"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
GATHER_SECONDS = 0.05
QUIET_SECONDS = 15.0


class PhonePages:
    """Endpoints of the pages."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._view = PhoneView(sandbox)

    async def overview(self, request: Request) -> Response:
        return asset("overview.html")

    async def phone(self, request: Request) -> Response:
        return asset("phone.html")

    async def part(self, request: Request) -> Response:
        return asset(str(request.path_params["name"]))

    async def state(self, request: Request) -> Response:
        return JSONResponse(self._view.everything(), headers=HEADERS)

    async def summary(self, request: Request) -> Response:
        """The figures of the overview."""
        box = self._sandbox
        events = sum(len(calendar.events) for calendar in box.calendars.all())
        records = box.vapi_records
        return JSONResponse(
            {
                "url": box.public_url,
                "down": box.settings.down,
                "faults": len(box.faults.listing()),
                "twilio": {"texts": box.messages.count(), "calls": box.calls.count()},
                "vapi": {"calls": len(records.all("call")), "tools": len(records.all("tool"))},
                "google": {"calendars": len(box.calendars.all()), "events": events},
                "slack": {"messages": len(box.slack.messages)},
            },
            headers=HEADERS,
        )

    async def news(self, request: Request) -> Response:
        """Server-sent events: batches of news as JSON arrays, and a comment when it is quiet."""
        headers = {**HEADERS, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=headers)

    async def _stream(self) -> AsyncIterator[str]:
        with self._sandbox.bus.listener() as queue:
            yield "retry: 1000\n\n"
            while True:
                try:
                    first = await asyncio.wait_for(queue.get(), QUIET_SECONDS)
                except TimeoutError:
                    yield ": quiet\n\n"
                    continue
                await asyncio.sleep(GATHER_SECONDS)
                gathered = [first, *(queue.get_nowait() for _ in range(queue.qsize()))]
                if any(news["kind"] == "closed" for news in gathered):
                    return
                batch = self._batch(gathered)
                if batch:
                    yield f"data: {json.dumps(batch, ensure_ascii=False)}\n\n"

    def _batch(self, gathered: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What to tell, each text and call once, as it is now."""
        latest = {(news["kind"], *news["data"].values()): news for news in gathered}
        shown = [self._view.news(news["kind"], news["data"]) for news in latest.values()]
        return [one for one in shown if one is not None]

    def routes(self) -> list[Route]:
        return [
            Route("/", self.overview),
            Route("/phone", self.phone),
            Route("/phone/state", self.state),
            Route("/phone/summary", self.summary),
            Route("/phone/news", self.news),
            Route("/phone/{name}", self.part),
        ]


def asset(name: str) -> Response:
    """One of the files in ``assets``; 404 for any other name."""
    known = {path.name: path for path in ASSETS.iterdir()}
    path = known.get(name)
    if path is None:
        return Response("Not found", status_code=404, media_type="text/plain")
    return Response(path.read_bytes(), media_type=TYPES[path.suffix], headers=HEADERS)
