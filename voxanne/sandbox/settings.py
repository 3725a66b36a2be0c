"""What can be turned while the sandbox runs: pace, latency, and services switched off."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from voxanne.sandbox.faults import SERVICES


class BadSetting(ValueError):
    """A setting is unknown or has the wrong type; the message says which."""


@dataclass
class Settings:
    """``down``: services that drop every connection; ``latency_seconds``: added to each answer."""

    step_seconds: float = 0.3
    receipt_statuses: list[str] = field(
        default_factory=lambda: ["sending", "sent", "delivered", "undelivered", "failed", "canceled", "read"]
    )
    latency_seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SERVICES, 0.0))
    down: list[str] = field(default_factory=list)
    enforce_senders: bool = False
    opt_out_keywords: bool = True
    advanced_opt_out: bool = False
    whatsapp_window_seconds: float = 86_400.0
    whatsapp_read: bool = False
    whatsapp_templates: dict[str, str] = field(default_factory=dict)

    def update(self, asked: dict[str, Any]) -> None:
        """Take the named settings; ``latency_seconds`` may be one number for all. Raises BadSetting."""
        for name, value in asked.items():
            if name == "latency_seconds":
                self._set_latency(value)
            elif name not in self.__dataclass_fields__:
                raise BadSetting(f"unknown setting {name}; known are {', '.join(self.__dataclass_fields__)}")
            else:
                setattr(self, name, _same_kind(name, value, getattr(self, name)))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def _set_latency(self, value: Any) -> None:
        wanted = value if isinstance(value, dict) else dict.fromkeys(SERVICES, value)
        for service, seconds in wanted.items():
            if service not in SERVICES:
                raise BadSetting(f"unknown service {service}; known are {', '.join(SERVICES)}")
            self.latency_seconds[service] = float(_same_kind("latency_seconds", seconds, 0.0))


def _same_kind(name: str, value: Any, current: Any) -> Any:
    if isinstance(current, float) and isinstance(value, (int, float)) and not isinstance(value, bool):
        return max(0.0, float(value))
    if isinstance(value, type(current)):
        return value
    raise BadSetting(f"{name} must be a {type(current).__name__}")
