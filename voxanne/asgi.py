"""The socket door: live calls. HTTP belongs to voxanne/wsgi.py."""

from __future__ import annotations

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voxanne.settings")
django.setup(set_prefix=False)

from voxanne.tenancy.checks import refuse_unbound_role  # noqa: E402  (settings exist only after setup)

refuse_unbound_role()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers the server's start and stop; refuses every other address until live calls stand here."""
    if scope["type"] == "lifespan":
        await answer_lifespan(receive, send)
        return
    await receive()
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4404})
        return
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"Only sockets are served here."})


async def answer_lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
