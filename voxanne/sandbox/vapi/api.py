"""Vapi's REST addresses and the control address of a live call."""

from __future__ import annotations

import os
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from voxanne.sandbox.exchange import Exchange
from voxanne.sandbox.vapi.checks import check
from voxanne.sandbox.vapi.errors import VapiError
from voxanne.sandbox.vapi.recording import tone
from voxanne.sandbox.vapi.records import ENDED, KINDS, Records, VapiRecord

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000
CONCURRENCY = 10
ALL_METHODS = ["GET", "POST", "PATCH", "DELETE"]
CONTROL_TYPES = (
    "say",
    "add-message",
    "control",
    "end-call",
    "transfer",
    "handoff",
    "send-transport-message",
)


class VapiApi:
    """Any bearer key is accepted until ``keys`` names the right ones (at first ``VAPI_API_KEY``)."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.keys: set[str] = set()
        self.clear()

    def clear(self) -> None:
        known = os.environ.get("VAPI_API_KEY")
        self.keys = {known} if known else set()

    async def collection(self, request: Request) -> Response:
        return await self._guarded(request, self._collection)

    async def item(self, request: Request) -> Response:
        return await self._guarded(request, self._item)

    async def control(self, request: Request) -> Response:
        """Take a live-control command. An unknown call is 404, an ended one 410."""
        exchange = cast("Exchange", request.scope["exchange"])
        call = self._records.find("call", request.path_params["call_id"])
        try:
            if call is None:
                raise VapiError(404, "Call not found.")
            if call.get("status") == ENDED:
                raise VapiError(410, "Call has ended.")
            command = exchange.json
            if not isinstance(command, dict) or command.get("type") not in CONTROL_TYPES:
                raise VapiError(
                    400, [f"type must be one of the following values: {', '.join(CONTROL_TYPES)}"]
                )
        except VapiError as error:
            return error.response()
        self._records.add_command(call["id"], command)
        if command["type"] == "end-call":
            self._records.keep("call", {**call, "status": ENDED, "endedReason": "assistant-ended-call"})
        return JSONResponse({"success": True})

    async def mono_recording(self, request: Request) -> Response:
        """Send the holder of a key on to the recording's own address, as soon as the call has ended."""
        exchange = cast("Exchange", request.scope["exchange"])
        try:
            self._authenticate(exchange)
            call = self._records.find("call", request.path_params["call_id"])
            if call is None or call.get("status") != ENDED:
                raise VapiError(404, "Recording not found.")
        except VapiError as error:
            return error.response()
        return Response(status_code=302, headers={"location": self._records.recording_url(call["id"])})

    async def recording(self, request: Request) -> Response:
        """The recording itself. Its address is all it takes, as with a presigned one."""
        call = self._records.find("call", request.path_params["name"].removesuffix(".wav"))
        if call is None:
            return VapiError(404, "Recording not found.").response()
        return Response(tone(float(call.get("recordingSeconds", 1.0))), media_type="audio/wav")

    async def _guarded(self, request: Request, work: Any) -> Response:
        exchange = cast("Exchange", request.scope["exchange"])
        try:
            self._authenticate(exchange)
            kind = request.path_params["kind"]
            if kind not in KINDS:
                raise VapiError(404, f"Cannot {request.method} {exchange.path}")
            return cast("Response", work(kind, exchange, request.path_params))
        except VapiError as error:
            return error.response()

    def _authenticate(self, exchange: Exchange) -> None:
        scheme, _, key = exchange.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not key or (self.keys and key not in self.keys):
            raise VapiError(
                401,
                "Invalid Key. You may be using the public key in place of the private key.",
            )

    def _collection(self, kind: str, exchange: Exchange, path: dict[str, str]) -> Response:
        if exchange.method == "GET":
            return JSONResponse(_listed(self._records.all(kind), exchange.query))
        if exchange.method != "POST":
            raise VapiError(404, f"Cannot {exchange.method} {exchange.path}")
        body = check(kind, exchange.json, is_new=True)
        if kind != "call":
            return JSONResponse(self._records.create(kind, body), status_code=201)
        call = self._records.create(kind, {"type": "outboundPhoneCall", "status": "queued", **body})
        return JSONResponse({**call, "subscriptionLimits": self._limits()}, status_code=201)

    def _limits(self) -> dict[str, Any]:
        live = sum(1 for call in self._records.all("call") if call.get("status") not in (ENDED, None))
        remaining = max(CONCURRENCY - live, 0)
        blocked = live > CONCURRENCY
        return {
            "concurrencyBlocked": blocked,
            "concurrencyLimit": CONCURRENCY,
            "remainingConcurrentCalls": remaining,
        }

    def _item(self, kind: str, exchange: Exchange, path: dict[str, str]) -> Response:
        record = self._records.find(kind, path["record_id"])
        if record is None:
            raise VapiError(404, f"{kind.capitalize()} not found.")
        if exchange.method == "PATCH":
            body = check(kind, exchange.json, is_new=False)
            record = self._records.keep(kind, {**record, **body})
        elif exchange.method == "DELETE":
            if kind == "tool" and self._is_pinned(record):
                pinned = {"error": "tool_pinned", "message": "The tool is pinned by an assistant."}
                return JSONResponse(pinned, status_code=409)
            self._records.remove(kind, record["id"])
        elif exchange.method != "GET":
            raise VapiError(404, f"Cannot {exchange.method} {exchange.path}")
        return JSONResponse(record)

    def _is_pinned(self, tool: VapiRecord) -> bool:
        references = (
            reference
            for assistant in self._records.all("assistant")
            for reference in (assistant.get("model") or {}).get("toolRefs") or []
        )
        return any(tool["id"] in (reference.get("toolId"), reference.get("id")) for reference in references)

    def router(self) -> Router:
        return Router(
            routes=[
                Route("/control/{call_id}", self.control, methods=["POST"]),
                Route("/call/{call_id}/mono-recording", self.mono_recording, methods=["GET"]),
                Route("/recordings/{name}", self.recording, methods=["GET"]),
                Route("/{kind}", self.collection, methods=ALL_METHODS),
                Route("/{kind}/{record_id}", self.item, methods=ALL_METHODS),
                Route("/{rest:path}", _unknown_address, methods=ALL_METHODS),
            ]
        )


async def _unknown_address(request: Request) -> Response:
    return VapiError(404, f"Cannot {request.method} {request.scope['exchange'].path}").response()


def _listed(records: list[VapiRecord], query: dict[str, str]) -> list[VapiRecord]:
    """Newest first; ``limit`` and the created/updated bounds, and a call's own filters."""
    try:
        limit = int(query.get("limit", DEFAULT_LIMIT))
    except ValueError as error:
        raise VapiError(400, ["limit must be a number"]) from error
    if not 0 <= limit <= LARGEST_LIMIT:
        raise VapiError(400, [f"limit must not be greater than {LARGEST_LIMIT}"])
    chosen = [record for record in reversed(records) if _in_bounds(record, query)]
    for name in ("assistantId", "phoneNumberId", "id"):
        if name in query:
            chosen = [record for record in chosen if record.get(name) == query[name]]
    return chosen[:limit]


def _in_bounds(record: VapiRecord, query: dict[str, str]) -> bool:
    for name in ("createdAt", "updatedAt"):
        value = str(record[name])
        for suffix, holds in (
            ("Gt", value.__gt__),
            ("Ge", value.__ge__),
            ("Lt", value.__lt__),
            ("Le", value.__le__),
        ):
            bound = query.get(name + suffix)
            if bound is not None and not holds(bound):
                return False
    return True
