"""What the environment may say to ``make run`` and ``make demo``, and the environment their processes get."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from voxanne.environment import Environment, resolve_backend_url
from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.state import data_directory

HIGHEST_PORT = 65535


@dataclass(frozen=True)
class StackOptions:
    """Ports on 127.0.0.1, the data folder, and whether a demo call is placed."""

    port: int
    ws_port: int
    sandbox_port: int
    data: Path
    demo_call: bool

    @property
    def ports(self) -> dict[str, int]:
        return {"PORT": self.port, "WS_PORT": self.ws_port, "SANDBOX_PORT": self.sandbox_port}

    @property
    def web_url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"


def stack_options() -> StackOptions:
    """The options of this environment. Raises RuntimeFault that names every unusable one at once."""
    environment = Environment()
    port = environment.integer("PORT", 8000)
    options = StackOptions(
        port=port,
        ws_port=environment.integer("WS_PORT", port + 1),
        sandbox_port=environment.integer("SANDBOX_PORT", 4020),
        data=data_directory(),
        demo_call=environment.boolean("DEMO_CALL", default=True),
    )
    faults = environment.faults + [
        f"{name} must be between 1 and {HIGHEST_PORT}."
        for name, number in options.ports.items()
        if not 1 <= number <= HIGHEST_PORT
    ]
    if len(set(options.ports.values())) < len(options.ports):
        faults.append(f"{', '.join(options.ports)} must differ from each other.")
    if faults:
        raise RuntimeFault(" ".join(faults))
    return options


def stack_environment(options: StackOptions | None = None) -> dict[str, str]:
    """The environment of every process of the stack: ours, completed so that providers are the sandbox.

    A provider address that is set stays as it is. ``DATABASE_URL`` and ``REDIS_URL`` are not added: the
    settings find the embedded servers by ``VOXANNE_DATA_DIR``.
    """
    chosen = options or stack_options()
    sandbox = chosen.sandbox_url
    defaults = {
        "BACKEND_URL": resolve_backend_url(Environment(), chosen.port).url,
        "TWILIO_API_BASE_URL": f"{sandbox}/twilio",
        "VAPI_API_BASE_URL": f"{sandbox}/vapi",
        "GOOGLE_API_BASE_URL": f"{sandbox}/google",
        "GOOGLE_TOKEN_URL": f"{sandbox}/google/token",
        "GOOGLE_AUTH_URL": f"{sandbox}/google/auth",
        "SLACK_API_BASE_URL": f"{sandbox}/slack",
        # Without a token or key nothing is asked; the sandbox takes any.
        "SLACK_BOT_TOKEN": "sandbox",
        "VAPI_API_KEY": "sandbox",
        "PYTHONUNBUFFERED": "1",
    }
    fixed = {name: str(number) for name, number in chosen.ports.items()} | {
        "VOXANNE_DATA_DIR": str(chosen.data)
    }
    if os.geteuid() == 0:
        # Celery warns root at length, on each start; on a fresh machine root is often all there is.
        defaults["PYTHONWARNINGS"] = "ignore:You're running the worker with superuser privileges"
    unset = {name: value for name, value in defaults.items() if not Environment().optional(name)}
    return {**os.environ, **unset, **fixed}
