"""``python -m voxanne.sandbox``: run the sandbox until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import uvicorn

from voxanne.sandbox.app import SandboxApplication
from voxanne.sandbox.server import DroppableProtocol, SandboxServer
from voxanne.sandbox.state import Sandbox


def main() -> int:
    arguments = _arguments()
    public_url = (arguments.public_url or f"http://{arguments.host}:{arguments.port}").rstrip("/")
    sandbox = Sandbox(public_url, arguments.data_dir)
    config = uvicorn.Config(
        SandboxApplication(sandbox),
        host=arguments.host,
        port=arguments.port,
        http=DroppableProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        log_level="warning" if arguments.quiet else "info",
        timeout_keep_alive=120,
        timeout_graceful_shutdown=2,
        backlog=2048,
    )
    server = SandboxServer(config, on_exit=sandbox.bus.close)
    sandbox.gates.bind(server, arguments.host)
    if not arguments.quiet:
        print(
            f"Sandbox for Twilio, Vapi, Google and Slack at {public_url} · phones at {public_url}/phone",
            flush=True,
        )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server.run()
    except KeyboardInterrupt:
        return 0
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m voxanne.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=4020)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--public-url", help="how others reach this server (default: http://HOST:PORT)")
    parser.add_argument("--data-dir", type=Path, help="where the journal is kept (default: nothing is kept)")
    parser.add_argument("--quiet", action="store_true", help="only warnings and errors")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
