"""Control of Twilio: accounts, numbers, what phones hold, and what their owners do."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voxanne.sandbox.control.answers import BadRequest, control_route, json_object
from voxanne.sandbox.state import Sandbox
from voxanne.sandbox.twilio.accounts import Account, Number
from voxanne.sandbox.twilio.call_script import script_from

BUTTON = {"button_text": "ButtonText", "button_payload": "ButtonPayload"}


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
        account = Account(
            sid=body["sid"],
            auth_token=body["auth_token"],
            api_keys=body.get("api_keys") or {},
            trial=bool(body.get("trial")),
            keeps_no_bodies=bool(body.get("keeps_no_bodies")),
        )
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
        number = Number(**{name: value for name, value in body.items() if value is not None})
        self._sandbox.accounts.configure_number(number)
        return JSONResponse(_described(number), status_code=201)

    async def numbers(self, request: Request) -> Response:
        return JSONResponse([_described(number) for number in self._sandbox.accounts.numbers()])

    async def inbound_text(self, request: Request) -> Response:
        """A person texts one of our numbers; with ``sid`` the webhook of that text is repeated."""
        body = await json_object(request, "from", "to")
        try:
            received = await self._sandbox.inbound_texts.receive(
                str(body["from"]),
                str(body["to"]),
                str(body.get("body", body.get("button_text", ""))),
                body.get("sid"),
                str(body.get("profile_name", "")),
                {form: str(body[name]) for name, form in BUTTON.items() if name in body},
            )
        except LookupError as error:
            raise BadRequest(str(error), 404) from error
        return JSONResponse(received, status_code=201)

    async def inbound_call(self, request: Request) -> Response:
        """A person rings one of our numbers; with ``wait`` the answer comes when the call is over."""
        body = await json_object(request, "from", "to")
        script = script_from(body)
        try:
            play, task = self._sandbox.call_player.begin(str(body["from"]), str(body["to"]), script)
        except LookupError as error:
            raise BadRequest(str(error), 404) from error
        if body.get("wait"):
            await asyncio.wait([task])
        webhooks = [delivery.describe() for delivery in play.deliveries]
        described = {"call_sid": play.call.sid, **play.call.on_phone(), "webhooks": webhooks}
        return JSONResponse(described, status_code=201)

    async def calls(self, request: Request) -> Response:
        wanted = request.query_params.get("from")
        chosen = [
            call.on_phone()
            for call in reversed(self._sandbox.calls.newest_first())
            if wanted in (None, call.sender)
        ]
        return JSONResponse(chosen)

    async def opt_outs(self, request: Request) -> Response:
        """Set or lift a carrier block without a text, as a person can by calling the carrier."""
        body = await json_object(request, "number", "phone")
        out = bool(body.get("out", True))
        self._sandbox.opt_outs.set(str(body["number"]), str(body["phone"]), out=out)
        return JSONResponse({"number": body["number"], "phone": body["phone"], "out": out}, status_code=201)

    async def name_phone(self, request: Request) -> Response:
        body = await json_object(request, "number", "name")
        self._sandbox.phone_book.name(str(body["number"]), str(body["name"]))
        return JSONResponse({"number": body["number"], "name": body["name"]}, status_code=201)

    def routes(self) -> list[Route]:
        return [
            control_route("/twilio/inbound-text", self.inbound_text, "POST"),
            control_route("/twilio/inbound-call", self.inbound_call, "POST"),
            control_route("/twilio/calls", self.calls),
            control_route("/twilio/opt-outs", self.opt_outs, "POST"),
            control_route("/phones", self.name_phone, "POST"),
            control_route("/twilio/messages", self.messages),
            control_route("/twilio/stats", self.stats),
            control_route("/twilio/accounts", self.add_account, "POST"),
            control_route("/numbers", self.numbers),
            control_route("/numbers", self.add_number, "POST"),
        ]


def _described(number: Number) -> dict[str, Any]:
    return {name: getattr(number, name) for name in Number.__dataclass_fields__}
