"""Control of what all providers share: health, reset, settings, faults, services down, gates, logs."""

from __future__ import annotations

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voxanne.sandbox.control.answers import BadRequest, control_route, json_object
from voxanne.sandbox.faults import SERVICES
from voxanne.sandbox.state import Sandbox


class SceneControl:
    """Endpoints, one a method."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def health(self, request: Request) -> Response:
        return JSONResponse(
            {"status": "ok", "down": self._sandbox.settings.down, "url": self._sandbox.public_url}
        )

    async def reset(self, request: Request) -> Response:
        self._sandbox.reset()
        return JSONResponse({"reset": True})

    async def settings(self, request: Request) -> Response:
        return JSONResponse(self._sandbox.settings.as_dict())

    async def set_settings(self, request: Request) -> Response:
        self._sandbox.settings.update(await json_object(request))
        return JSONResponse(self._sandbox.settings.as_dict())

    async def faults(self, request: Request) -> Response:
        return JSONResponse(self._sandbox.faults.listing())

    async def add_fault(self, request: Request) -> Response:
        fault = self._sandbox.faults.add(await json_object(request, "service", "kind"))
        return JSONResponse(asdict(fault), status_code=201)

    async def clear_faults(self, request: Request) -> Response:
        text = request.query_params.get("id")
        removed = self._sandbox.faults.clear(request.query_params.get("service"), int(text) if text else None)
        return JSONResponse({"removed": removed})

    async def set_down(self, request: Request) -> Response:
        body = await json_object(request, "service")
        service = body["service"]
        if service not in SERVICES:
            raise BadRequest(f"service must be one of {', '.join(SERVICES)}.")
        down = set(self._sandbox.settings.down)
        down = down | {service} if body.get("down", True) else down - {service}
        self._sandbox.settings.down = sorted(down)
        return JSONResponse({"down": self._sandbox.settings.down})

    async def set_up(self, request: Request) -> Response:
        service = request.query_params.get("service")
        self._sandbox.settings.down = [
            one for one in self._sandbox.settings.down if service not in (None, one)
        ]
        return JSONResponse({"down": self._sandbox.settings.down})

    async def requests(self, request: Request) -> Response:
        query = request.query_params
        limit = int(query.get("limit", "100"))
        return JSONResponse(self._sandbox.log.listing(query.get("service"), query.get("path"), limit))

    async def webhooks(self, request: Request) -> Response:
        limit = int(request.query_params.get("limit", "100"))
        recent = list(self._sandbox.webhook_sender.recent)[-limit:]
        return JSONResponse([delivery.describe() for delivery in reversed(recent)])

    async def gates(self, request: Request) -> Response:
        return JSONResponse(self._sandbox.gates.listing())

    async def add_gate(self, request: Request) -> Response:
        body = await json_object(request)
        gate = await self._sandbox.gates.add(int(body.get("port", 0)))
        listed = [one for one in self._sandbox.gates.listing() if one["port"] == gate.port]
        return JSONResponse(listed[0], status_code=201)

    async def turn_gate(self, request: Request) -> Response:
        gate = self._sandbox.gates.find(int(request.path_params["port"]))
        if gate is None:
            raise BadRequest("No such gate.", 404)
        if request.path_params["turn"] == "open":
            await gate.open()
        else:
            gate.shut()
        return JSONResponse({"port": gate.port, "open": gate.is_open})

    def routes(self) -> list[Route]:
        return [
            control_route("/health", self.health),
            control_route("/reset", self.reset, "POST"),
            control_route("/settings", self.settings),
            control_route("/settings", self.set_settings, "POST"),
            control_route("/faults", self.faults),
            control_route("/faults", self.add_fault, "POST"),
            control_route("/faults", self.clear_faults, "DELETE"),
            control_route("/down", self.set_down, "POST"),
            control_route("/down", self.set_up, "DELETE"),
            control_route("/requests", self.requests),
            control_route("/webhooks", self.webhooks),
            control_route("/gates", self.gates),
            control_route("/gates", self.add_gate, "POST"),
            control_route("/gates/{port:int}/{turn}", self.turn_gate, "POST"),
        ]
