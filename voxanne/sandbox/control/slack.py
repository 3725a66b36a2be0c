"""Control of Slack: what was posted."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voxanne.sandbox.control.answers import control_route
from voxanne.sandbox.state import Sandbox


class SlackControl:
    """The posted messages, oldest first."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def messages(self, request: Request) -> Response:
        return JSONResponse(self._sandbox.slack.messages)

    def routes(self) -> list[Route]:
        return [control_route("/slack/messages", self.messages)]
