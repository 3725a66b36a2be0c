"""The whole sandbox as one ASGI application: provider prefixes through their doors, the rest by Starlette."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from voxanne.sandbox.control.google import GoogleControl
from voxanne.sandbox.control.scene import SceneControl
from voxanne.sandbox.control.slack import SlackControl
from voxanne.sandbox.control.twilio import TwilioControl
from voxanne.sandbox.control.vapi import VapiControl
from voxanne.sandbox.door import ProviderDoor, Refusal
from voxanne.sandbox.google import errors as google_errors
from voxanne.sandbox.google.api import GoogleRoutes, google_router
from voxanne.sandbox.google.consent import Consent
from voxanne.sandbox.google.freebusy import FreeBusyApi
from voxanne.sandbox.phone.pages import PhonePages
from voxanne.sandbox.slack import api as slack_api
from voxanne.sandbox.state import Sandbox
from voxanne.sandbox.twilio import errors as twilio_errors
from voxanne.sandbox.twilio.api import MessagesApi, twilio_router
from voxanne.sandbox.twilio.calls_api import CallsApi, NumbersApi
from voxanne.sandbox.vapi import errors as vapi_errors


class SandboxApplication:
    """Sends each provider's prefix to its door; Twilio also answers at the bare ``/2010-04-01/…``."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._doors = {
            "/twilio": self._door("twilio", self._twilio(), twilio_errors.refusal),
            "/google": self._door("google", self._google(), google_errors.refusal),
            "/vapi": self._door("vapi", sandbox.vapi.router(), vapi_errors.refusal),
            "/slack": self._door("slack", sandbox.slack.router(), slack_api.refusal),
        }
        self._rest = self._starlette()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            prefix = "/" + path[1:].partition("/")[0]
            if prefix == "/2010-04-01":
                await self._doors["/twilio"].serve(scope, receive, send, path)
                return
            door = self._doors.get(prefix)
            if door is not None:
                await door.serve(scope, receive, send, path[len(prefix) :] or "/")
                return
        await self._rest(scope, receive, send)

    def _door(self, service: str, inner: ASGIApp, refuse: Refusal) -> ProviderDoor:
        box = self.sandbox
        return ProviderDoor(service, inner, refuse, faults=box.faults, log=box.log, settings=box.settings)

    def _twilio(self) -> ASGIApp:
        box = self.sandbox
        texts = MessagesApi(box.accounts, box.messages, box.progress, box.settings, box.opt_outs.blocks)
        calls = CallsApi(box.calls, box.call_player)
        return twilio_router(box.accounts, texts, calls, NumbersApi(box.accounts))

    def _google(self) -> ASGIApp:
        box = self.sandbox
        return google_router(
            GoogleRoutes(box.tokens, box.calendars),
            box.tokens,
            Consent(box.tokens),
            box.events,
            FreeBusyApi(box.calendars),
            box.channels,
        )

    def _starlette(self) -> Starlette:
        box = self.sandbox

        @asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            box.start()
            yield
            await box.stop()

        controls = (
            PhonePages(box),
            SceneControl(box),
            TwilioControl(box),
            GoogleControl(box),
            VapiControl(box),
            SlackControl(box),
        )
        return Starlette(
            routes=[route for control in controls for route in control.routes()], lifespan=lifespan
        )
