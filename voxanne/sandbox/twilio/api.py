"""Twilio's REST addresses: ``/2010-04-01/Accounts/{AC}/Messages…``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from voxanne.sandbox.exchange import Exchange
from voxanne.sandbox.settings import Settings
from voxanne.sandbox.twilio.accounts import Accounts
from voxanne.sandbox.twilio.calls_api import CallsApi, NumbersApi
from voxanne.sandbox.twilio.creation import message_from
from voxanne.sandbox.twilio.errors import TwilioError
from voxanne.sandbox.twilio.messages import API_VERSION, Message, Messages
from voxanne.sandbox.twilio.pages import page, within
from voxanne.sandbox.twilio.receipts import Progress

ACCOUNT = f"/{API_VERSION}/Accounts/{{account_sid}}"
ALL_METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH"]
Handler = Callable[[Exchange, dict[str, str]], Awaitable[Response]]


class MessagesApi:
    """Create, list, fetch, redact, cancel and delete."""

    def __init__(
        self,
        accounts: Accounts,
        messages: Messages,
        progress: Progress,
        settings: Settings,
        opted_out: Callable[[str, str], bool],
    ) -> None:
        self._accounts = accounts
        self._messages = messages
        self._progress = progress
        self._settings = settings
        self._opted_out = opted_out

    async def create(self, exchange: Exchange, path: dict[str, str]) -> Response:
        message = message_from(exchange, path["account_sid"], self._accounts, self._messages, self._settings)
        if self._opted_out(message.sender or "", message.to):
            raise TwilioError(21610)
        self._messages.add(message)
        created = message.resource()
        if "receipt_before_reply" in message.receipts:
            await self._progress.start_before_reply(message)
        else:
            self._progress.start(message)
        return JSONResponse(created, status_code=201)

    async def list(self, exchange: Exchange, path: dict[str, str]) -> Response:
        query = exchange.query
        sent_within = within(query, "DateSent")
        sender = query.get("From")
        chosen = [
            message
            for message in self._messages.newest_first(query.get("To"))
            if message.account_sid == path["account_sid"]
            and (sender is None or message.sender == sender)
            and sent_within(message.sent_at)
        ]
        address = f"/{API_VERSION}/Accounts/{path['account_sid']}/Messages.json"
        return JSONResponse(page(address, query, chosen, "messages"))

    async def fetch(self, exchange: Exchange, path: dict[str, str]) -> Response:
        return JSONResponse(self._find(path).resource())

    async def update(self, exchange: Exchange, path: dict[str, str]) -> Response:
        message = self._find(path)
        if exchange.form.get("Status") == "canceled":
            if message.status not in ("scheduled", "accepted", "queued"):
                raise TwilioError(20409, "The message can no longer be canceled")
            self._messages.move(message, "canceled")
        elif exchange.form.get("Body") == "":
            message.body = ""
            self._messages.move(message, message.status, message.error_code)
        return JSONResponse(message.resource())

    async def delete(self, exchange: Exchange, path: dict[str, str]) -> Response:
        self._messages.remove(self._find(path))
        return Response(status_code=204)

    def _find(self, path: dict[str, str]) -> Message:
        message = self._messages.find(path["sid"])
        if message is None or message.account_sid != path["account_sid"]:
            raise TwilioError(20404)
        return message


def twilio_route(accounts: Accounts, template: str, handlers: dict[str, Handler]) -> Route:
    """A route that checks the account's credentials and words every refusal as Twilio does."""

    async def endpoint(request: Request) -> Response:
        exchange = cast("Exchange", request.scope["exchange"])
        path = cast("dict[str, str]", request.path_params)
        try:
            accounts.authenticate(exchange, path["account_sid"])
            handler = handlers.get(request.method)
            if handler is None:
                raise TwilioError(20404)
            return await handler(exchange, path)
        except TwilioError as error:
            return error.response()

    return Route(ACCOUNT + template, endpoint, methods=ALL_METHODS)


async def unknown_address(request: Request) -> Response:
    return TwilioError(20404).response()


def twilio_router(accounts: Accounts, messages: MessagesApi, calls: CallsApi, numbers: NumbersApi) -> Router:
    one_message: dict[str, Handler] = {
        "GET": messages.fetch,
        "POST": messages.update,
        "DELETE": messages.delete,
    }
    one_call: dict[str, Handler] = {"GET": calls.fetch, "POST": calls.update, "DELETE": calls.delete}
    one_number: dict[str, Handler] = {"GET": numbers.fetch, "POST": numbers.update}
    return Router(
        routes=[
            twilio_route(accounts, "/Messages.json", {"POST": messages.create, "GET": messages.list}),
            twilio_route(accounts, "/Messages/{sid}.json", one_message),
            twilio_route(accounts, "/Calls.json", {"GET": calls.list}),
            twilio_route(accounts, "/Calls/{sid}.json", one_call),
            twilio_route(accounts, "/IncomingPhoneNumbers.json", {"GET": numbers.list}),
            twilio_route(accounts, "/IncomingPhoneNumbers/{sid}.json", one_number),
            twilio_route(accounts, ".json", {"GET": numbers.account}),
            Route("/{rest:path}", unknown_address, methods=ALL_METHODS),
        ]
    )
