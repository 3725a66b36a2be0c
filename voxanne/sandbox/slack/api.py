"""Slack's Web API: ``chat.postMessage`` and ``auth.test``."""

from __future__ import annotations

import json
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from voxanne.sandbox.exchange import Exchange
from voxanne.sandbox.fault import Fault
from voxanne.sandbox.formats import iso_milliseconds
from voxanne.sandbox.journal import Journal, Record


class SlackApi:
    """Every refusal but a rate limit is HTTP 200 with ``ok: false``, as Slack does."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.messages: list[dict[str, Any]] = []

    def clear(self) -> None:
        self.messages = []

    async def post_message(self, request: Request) -> Response:
        exchange: Exchange = request.scope["exchange"]
        body = exchange.json if isinstance(exchange.json, dict) else dict(exchange.form)
        error = _refused(exchange, body)
        if error is not None:
            return JSONResponse({"ok": False, "error": error})
        moment = time.time()
        kept = {"channel": body["channel"], "text": body.get("text", ""), "blocks": body.get("blocks")}
        kept.update(attachments=body.get("attachments"), at=iso_milliseconds(moment))
        self.messages.append(kept)
        self._journal.append("slack.message", kept)
        message = {"type": "message", "text": kept["text"], "ts": f"{moment:.6f}"}
        return JSONResponse(
            {"ok": True, "channel": kept["channel"], "ts": f"{moment:.6f}", "message": message}
        )

    async def auth_test(self, request: Request) -> Response:
        if not request.scope["exchange"].headers.get("authorization"):
            return JSONResponse({"ok": False, "error": "not_authed"})
        return JSONResponse(
            {"ok": True, "team": "Sandbox", "user": "voxanne", "team_id": "T0", "user_id": "U0"}
        )

    def records(self) -> list[Record]:
        return [("slack.message", message) for message in self.messages]

    def restore(self, kind: str, data: dict[str, Any]) -> None:
        self.messages.append(data)

    def router(self) -> Router:
        return Router(
            routes=[
                Route("/api/chat.postMessage", self.post_message, methods=["POST"]),
                Route("/api/auth.test", self.auth_test, methods=["GET", "POST"]),
                Route("/{rest:path}", _unknown_method, methods=["GET", "POST"]),
            ]
        )


def _refused(exchange: Exchange, body: dict[str, Any]) -> str | None:
    if not exchange.headers.get("authorization", "").startswith("Bearer ") and not body.get("token"):
        return "not_authed"
    if not body.get("channel"):
        return "channel_not_found"
    if not (body.get("text") or body.get("blocks") or body.get("attachments")):
        return "no_text"
    return None


async def _unknown_method(request: Request) -> Response:
    return JSONResponse({"ok": False, "error": "unknown_method"})


def refusal(fault: Fault) -> tuple[int, dict[str, str], bytes]:
    """The answer for an asked-for refusal."""
    if fault.kind == "rate_limited":
        headers = {"content-type": "application/json", "retry-after": str(fault.retry_after or 1)}
        return 429, headers, b'{"ok":false,"error":"ratelimited"}'
    if fault.kind == "refused_permanent":
        body = json.dumps({"ok": False, "error": fault.reason or "invalid_auth"}).encode()
        return 200, {"content-type": "application/json"}, body
    return fault.status or 503, {"content-type": "text/plain"}, b"upstream unavailable"
