"""Control of Vapi: calls with their timelines, live-control commands, seeded records."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voxanne.sandbox.control.answers import BadRequest, control_route, json_object
from voxanne.sandbox.state import Sandbox
from voxanne.sandbox.vapi.records import KINDS


class VapiControl:
    """Calls with their timelines, commands, and the other records."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._records = sandbox.vapi_records
        self._sandbox = sandbox

    async def calls(self, request: Request) -> Response:
        return JSONResponse([self._records.describe_call(call) for call in self._records.all("call")])

    async def call(self, request: Request) -> Response:
        return JSONResponse(self._records.describe_call(self._find(request)))

    async def put_call(self, request: Request) -> Response:
        """Register a call, or change the one that has this id."""
        body = await json_object(request)
        known = self._records.find("call", str(body.get("id", "")))
        if known is not None:
            return JSONResponse(self._records.keep("call", {**known, **body}))
        fields = {"type": "inboundPhoneCall", "status": "in-progress", **body}
        return JSONResponse(self._records.create("call", fields), status_code=201)

    async def add_event(self, request: Request) -> Response:
        body = await json_object(request, "type")
        return JSONResponse(self._records.add_event(self._find(request)["id"], body), status_code=201)

    async def commands(self, request: Request) -> Response:
        return JSONResponse(self._records.commands(request.query_params.get("call")))

    async def records(self, request: Request) -> Response:
        return JSONResponse(self._records.all(self._kind(request)))

    async def put_record(self, request: Request) -> Response:
        """Seed a tool, assistant or phone number, with an ``id`` of one's own if wanted."""
        body = await json_object(request)
        return JSONResponse(self._records.create(self._kind(request), body), status_code=201)

    async def set_keys(self, request: Request) -> Response:
        body = await json_object(request)
        self._sandbox.vapi.keys = set(body.get("keys") or [])
        return JSONResponse({"keys": len(self._sandbox.vapi.keys)})

    def _find(self, request: Request) -> dict[str, Any]:
        call = self._records.find("call", request.path_params["call_id"])
        if call is None:
            raise BadRequest("No such call; register it with POST /_control/vapi/calls.", 404)
        return call

    def _kind(self, request: Request) -> str:
        kind = str(request.path_params["kind"])
        if kind not in KINDS:
            raise BadRequest(f"kind must be one of {', '.join(KINDS)}.", 404)
        return kind

    def routes(self) -> list[Route]:
        return [
            control_route("/vapi/calls", self.calls),
            control_route("/vapi/calls", self.put_call, "POST"),
            control_route("/vapi/calls/{call_id}", self.call),
            control_route("/vapi/calls/{call_id}/events", self.add_event, "POST"),
            control_route("/vapi/commands", self.commands),
            control_route("/vapi/keys", self.set_keys, "POST"),
            control_route("/vapi/records/{kind}", self.records),
            control_route("/vapi/records/{kind}", self.put_record, "POST"),
        ]
