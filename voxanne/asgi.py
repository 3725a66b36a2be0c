"""The socket door: live calls. HTTP belongs to voxanne/wsgi.py."""

from __future__ import annotations

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voxanne.settings")
django.setup(set_prefix=False)

import voxanne.celery  # noqa: E402, F401  (commands to calls are published from here)
from telephony.live.hub import Hub  # noqa: E402  (settings exist only after setup)
from telephony.live.socket import PATHS, live_calls  # noqa: E402
from voxanne.tenancy.checks import refuse_unbound_role  # noqa: E402

refuse_unbound_role()


class Application:
    """The sockets at their two addresses; answers the server's start and stop, and refuses everything else."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._live_calls = live_calls(hub)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket" and scope["path"].rstrip("/") in PATHS:
            await self._live_calls(scope, receive, send)
        else:
            await refuse(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.hub.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


async def refuse(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4404})
        return
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"Only sockets are served here."})


application = Application(Hub())
