"""Control of each provider's own state."""

from __future__ import annotations

from collections import Counter
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voxanne.sandbox.control.answers import BadRequest, control_route, json_object
from voxanne.sandbox.google.calendars import EventBody
from voxanne.sandbox.google.errors import GoogleError
from voxanne.sandbox.google.events import EVENT_ID, merged
from voxanne.sandbox.state import Sandbox
from voxanne.sandbox.twilio.accounts import Account, Number
from voxanne.sandbox.vapi.records import KINDS


class TwilioControl:
    """Accounts, numbers, and what the phones hold."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def messages(self, request: Request) -> Response:
        query = request.query_params
        chosen = [
            message.on_phone()
            for message in reversed(self._sandbox.messages.newest_first(query.get("to")))
            if query.get("from") in (None, message.sender)
            and query.get("direction") in (None, message.direction)
        ]
        return JSONResponse(chosen)

    async def stats(self, request: Request) -> Response:
        """Counts, and every (to, body) that reached a phone more than once."""
        outbound = [one for one in self._sandbox.messages.newest_first() if one.direction != "inbound"]
        same = Counter((one.to, one.body) for one in outbound)
        duplicates = [
            {"to": to, "body": body, "count": many} for (to, body), many in same.items() if many > 1
        ]
        by_status = Counter(one.status for one in outbound)
        return JSONResponse({"messages": len(outbound), "by_status": by_status, "duplicates": duplicates})

    async def add_account(self, request: Request) -> Response:
        body = await json_object(request, "sid", "auth_token")
        account = Account(sid=body["sid"], auth_token=body["auth_token"], api_keys=body.get("api_keys") or {})
        self._sandbox.accounts.configure(account)
        return JSONResponse({"sid": account.sid}, status_code=201)

    async def add_number(self, request: Request) -> Response:
        body = await json_object(request, "number")
        known = set(Number.__dataclass_fields__) - {"sid"}
        unknown = set(body) - known
        if unknown:
            raise BadRequest(
                f"Unknown members: {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}."
            )
        body.setdefault("account_sid", self._sandbox.accounts.default_sid)
        number = Number(**{name: value or "" for name, value in body.items()})
        self._sandbox.accounts.configure_number(number)
        return JSONResponse(_described(number), status_code=201)

    async def numbers(self, request: Request) -> Response:
        return JSONResponse([_described(number) for number in self._sandbox.accounts.numbers()])

    def routes(self) -> list[Route]:
        return [
            control_route("/twilio/messages", self.messages),
            control_route("/twilio/stats", self.stats),
            control_route("/twilio/accounts", self.add_account, "POST"),
            control_route("/numbers", self.numbers),
            control_route("/numbers", self.add_number, "POST"),
        ]


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
                self._sandbox.calendar_changed(calendar)
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

    def routes(self) -> list[Route]:
        return [
            control_route("/google/events", self.events),
            control_route("/google/events", self.write_event, "POST"),
            control_route("/google/calendars", self.calendars, "POST"),
            control_route("/google/grants", self.grants, "POST"),
            control_route("/google/expire-sync-tokens", self.expire_sync, "POST"),
        ]


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


class SlackControl:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def messages(self, request: Request) -> Response:
        return JSONResponse(self._sandbox.slack.messages)

    def routes(self) -> list[Route]:
        return [control_route("/slack/messages", self.messages)]


def _described(number: Number) -> dict[str, Any]:
    return {name: getattr(number, name) for name in Number.__dataclass_fields__}


def _with_id(event: EventBody) -> EventBody:
    event_id = event.get("id") or f"person{id(event):x}".translate(str.maketrans("wxyz", "abcd"))
    if not EVENT_ID.fullmatch(str(event_id)):
        raise BadRequest("An event id is 5 to 1024 characters of a to v and 0 to 9.")
    return {**event, "id": event_id}
