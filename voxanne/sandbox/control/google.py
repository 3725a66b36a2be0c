"""Control of Google: events as people see them, and connections that break."""

from __future__ import annotations

import secrets

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voxanne.sandbox.control.answers import BadRequest, control_route, json_object
from voxanne.sandbox.google.calendars import EventBody
from voxanne.sandbox.google.errors import GoogleError
from voxanne.sandbox.google.events import EVENT_ID, merged
from voxanne.sandbox.state import Sandbox


class GoogleControl:
    """Events as people see them, broken connections, and what people do in their own calendars."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def events(self, request: Request) -> Response:
        wanted = request.query_params.get("calendar")
        return JSONResponse(
            [
                {"calendar": calendar.id, **event}
                for calendar in self._sandbox.calendars.all()
                if wanted in (None, calendar.id)
                for event in calendar.events.values()
            ]
        )

    async def write_event(self, request: Request) -> Response:
        """A person writes an event: a new one, or changes to the one whose ``id`` is given."""
        body = await json_object(request, "calendar", "event")
        calendar = self._sandbox.calendars.get(str(body["calendar"]))
        event: EventBody = body["event"]
        known = calendar.events.get(str(event.get("id")))
        try:
            if known is not None:
                stored = self._sandbox.calendars.store(calendar, merged(known, event))
                self._sandbox.channels.changed(calendar)
            else:
                stored = self._sandbox.events.create(calendar, _with_id(event), calendar.id)
        except GoogleError as error:
            raise BadRequest(str(error)) from error
        return JSONResponse(stored, status_code=201)

    async def calendars(self, request: Request) -> Response:
        body = await json_object(request, "id")
        calendar = self._sandbox.calendars.configure(str(body["id"]), body)
        return JSONResponse(
            {"id": calendar.id, "time_zone": calendar.time_zone, "fault": calendar.fault}, status_code=201
        )

    async def grants(self, request: Request) -> Response:
        """Kill or revive a refresh token, refuse every grant, or expire all access tokens."""
        body = await json_object(request)
        tokens = self._sandbox.tokens
        if "refuse_all" in body:
            tokens.refuse_all = bool(body["refuse_all"])
        if body.get("revoke"):
            tokens.revoke(str(body["revoke"]))
        if body.get("restore"):
            tokens.restore_grant(str(body["restore"]))
        if body.get("expire_access_tokens"):
            tokens.expire_access_tokens()
        return JSONResponse({"refuse_all": tokens.refuse_all})

    async def expire_sync(self, request: Request) -> Response:
        self._sandbox.calendars.expire_sync_tokens()
        return JSONResponse({"expired": True})

    async def channels(self, request: Request) -> Response:
        return JSONResponse(self._sandbox.channels.listing())

    async def silence(self, request: Request) -> Response:
        """With ``silent`` no change is pushed any more: a listener must poll."""
        body = await json_object(request)
        self._sandbox.channels.silent = bool(body.get("silent", True))
        return JSONResponse({"silent": self._sandbox.channels.silent})

    async def remove_event(self, request: Request) -> Response:
        """A person deletes an event."""
        calendar = self._sandbox.calendars.get(request.query_params.get("calendar", ""))
        event = calendar.events.get(request.query_params.get("id", ""))
        if event is None:
            raise BadRequest("No such event: give calendar and id in the query.", 404)
        self._sandbox.calendars.store(calendar, {**event, "status": "cancelled"})
        self._sandbox.channels.changed(calendar)
        return JSONResponse({"removed": event["id"]})

    def routes(self) -> list[Route]:
        return [
            control_route("/google/channels", self.channels),
            control_route("/google/channels", self.silence, "POST"),
            control_route("/google/events", self.remove_event, "DELETE"),
            control_route("/google/events", self.events),
            control_route("/google/events", self.write_event, "POST"),
            control_route("/google/calendars", self.calendars, "POST"),
            control_route("/google/grants", self.grants, "POST"),
            control_route("/google/expire-sync-tokens", self.expire_sync, "POST"),
        ]


def _with_id(event: EventBody) -> EventBody:
    event_id = event.get("id") or "doctor" + secrets.token_hex(10)
    if not EVENT_ID.fullmatch(str(event_id)):
        raise BadRequest("An event id is 5 to 1024 characters of a to v and 0 to 9.")
    return {**event, "id": event_id}
