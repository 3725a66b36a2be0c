"""Reading the control API's requests and wording its errors."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Endpoint = Callable[[Request], Awaitable[Response]]


class BadRequest(Exception):
    """The request cannot be understood; the message says what to change."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


async def json_object(request: Request, *required: str) -> dict[str, Any]:
    """The body as an object that has the named members. Raises BadRequest."""
    raw = await request.body()
    try:
        body = json.loads(raw) if raw else {}
    except ValueError as error:
        raise BadRequest("The body must be JSON.") from error
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    missing = [name for name in required if body.get(name) in (None, "")]
    if missing:
        raise BadRequest(f"Missing members: {', '.join(missing)}.")
    return body


def control_route(path: str, endpoint: Endpoint, method: str = "GET") -> Route:
    """A control route whose refusals come back as the usual JSON error."""

    async def guarded(request: Request) -> Response:
        origin = request.headers.get("origin")
        if origin and urlsplit(origin).netloc != request.headers.get("host"):
            foreign = {
                "code": "foreign_origin",
                "message": "Pages of other origins may not control the sandbox.",
            }
            return JSONResponse({"error": foreign}, status_code=403)
        try:
            return await endpoint(request)
        except (BadRequest, ValueError) as error:
            status = error.status if isinstance(error, BadRequest) else 400
            body = {
                "error": {"code": "invalid_request" if status == 400 else "not_found", "message": str(error)}
            }
            return JSONResponse(body, status_code=status)

    return Route("/_control" + path, guarded, methods=[method])
