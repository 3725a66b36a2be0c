"""Google's addresses: OAuth and ``/calendar/v3/…``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from voxanne.sandbox.exchange import Exchange
from voxanne.sandbox.google.calendars import Calendar, Calendars
from voxanne.sandbox.google.channels import Channels
from voxanne.sandbox.google.consent import Consent
from voxanne.sandbox.google.errors import GoogleError
from voxanne.sandbox.google.events import EventsApi
from voxanne.sandbox.google.freebusy import FreeBusyApi
from voxanne.sandbox.google.tokens import Tokens

ALL_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
CALENDAR = "/calendar/v3/calendars/{calendar_id}"
Handler = Callable[[Exchange, Calendar, dict[str, str], str], Awaitable[Response]]
OpenHandler = Callable[[Exchange, str], Awaitable[Response]]


class GoogleRoutes:
    """Makes routes that check the bearer token and word every refusal as Google does."""

    def __init__(self, tokens: Tokens, calendars: Calendars) -> None:
        self._tokens = tokens
        self._calendars = calendars

    def on_calendar(self, template: str, handlers: dict[str, Handler]) -> Route:
        """A route below one calendar."""

        async def endpoint(request: Request) -> Response:
            exchange = cast("Exchange", request.scope["exchange"])
            path = cast("dict[str, str]", request.path_params)
            try:
                email = self._tokens.principal(exchange)
                calendar = self.open_calendar(path["calendar_id"], email)
                handler = handlers.get(request.method)
                if handler is None:
                    raise GoogleError(404)
                return await handler(exchange, calendar, path, email)
            except GoogleError as error:
                return error.response()

        return Route(CALENDAR + template, endpoint, methods=ALL_METHODS)

    def signed_in(self, address: str, method: str, handler: OpenHandler) -> Route:
        """A route for a signed-in account, outside any calendar."""

        async def endpoint(request: Request) -> Response:
            exchange = cast("Exchange", request.scope["exchange"])
            try:
                return await handler(exchange, self._tokens.principal(exchange))
            except GoogleError as error:
                return error.response()

        return Route(address, endpoint, methods=[method])

    def open_calendar(self, calendar_id: str, email: str) -> Calendar:
        """The calendar meant, ``primary`` being the account's own. Raises GoogleError 404 or 403."""
        calendar = self._calendars.get(email if calendar_id == "primary" else calendar_id)
        if calendar.fault == "missing":
            raise GoogleError(404)
        if calendar.fault == "forbidden":
            raise GoogleError(403)
        return calendar


def plain(handler: Callable[[Exchange], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """A Starlette endpoint for a handler that only needs the exchange."""

    async def endpoint(request: Request) -> Response:
        return await handler(request.scope["exchange"])

    return endpoint


async def unknown_address(request: Request) -> Response:
    return GoogleError(404).response()


def google_router(
    routes: GoogleRoutes,
    tokens: Tokens,
    consent: Consent,
    events: EventsApi,
    free_busy: FreeBusyApi,
    channels: Channels,
) -> Router:
    return Router(
        routes=[
            Route("/token", plain(tokens.token), methods=["POST"]),
            Route("/auth", plain(consent.page), methods=["GET"]),
            Route("/auth", plain(consent.choose), methods=["POST"]),
            Route("/revoke", plain(consent.revoke), methods=["POST"]),
            routes.signed_in("/calendar/v3/freeBusy", "POST", free_busy.query),
            routes.signed_in("/calendar/v3/channels/stop", "POST", channels.stop),
            routes.signed_in("/calendar/v3/users/me/calendarList", "GET", free_busy.calendar_list),
            routes.on_calendar("", {"GET": free_busy.calendar}),
            routes.on_calendar("/events", {"POST": events.insert, "GET": events.list}),
            routes.on_calendar("/events/watch", {"POST": channels.watch}),
            routes.on_calendar(
                "/events/{event_id}",
                {"GET": events.get, "PATCH": events.patch, "PUT": events.update, "DELETE": events.delete},
            ),
            Route("/{rest:path}", unknown_address, methods=ALL_METHODS),
        ]
    )
