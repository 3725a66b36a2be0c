"""Settings from the environment: strict, and every fault named at once.

A value may also stand in a file: ``<NAME>_FILE`` names it (Docker and systemd secrets).
Blank means unset. A value that cannot be read is collected as a fault instead of being guessed at;
``voxanne.settings`` raises them all together.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})
FERNET_KEY_BYTES = 32


@dataclass
class Environment:
    """Reads settings out of a mapping and remembers what was wrong with them."""

    values: Mapping[str, str] = field(default_factory=lambda: os.environ)
    faults: list[str] = field(default_factory=list)

    def optional(self, name: str) -> str | None:
        """The value of ``name``, or of the file that ``<name>_FILE`` names; None when blank or unset."""
        value = self.values.get(name, "").strip()
        if value:
            return value
        path = self.values.get(f"{name}_FILE", "").strip()
        if not path:
            return None
        try:
            return Path(path).read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            self.faults.append(f"{name}_FILE cannot be read: {reason}.")
            return None

    def text(self, name: str, default: str = "") -> str:
        return self.optional(name) or default

    def integer(self, name: str, default: int) -> int:
        value = self.optional(name)
        if value is None:
            return default
        try:
            return int(value)
        except ValueError:
            self.faults.append(f"{name} must be a whole number.")
            return default

    def boolean(self, name: str, default: bool) -> bool:
        value = self.optional(name)
        if value is None:
            return default
        word = value.lower()
        if word not in TRUE_WORDS | FALSE_WORDS:
            self.faults.append(f"{name} must be one of 1, 0, true, false, yes, no, on, off.")
            return default
        return word in TRUE_WORDS

    def words(self, name: str, default: tuple[str, ...] = ()) -> list[str]:
        """A comma-separated list, blanks dropped."""
        value = self.optional(name)
        if value is None:
            return list(default)
        return [word.strip() for word in value.split(",") if word.strip()]

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.text(name, default)
        if value not in allowed:
            self.faults.append(f"{name} must be one of: {', '.join(allowed)}.")
            return default
        return value


@dataclass(frozen=True)
class BackendUrl:
    """Our public origin and the setting it came from; ``url`` has no trailing slash."""

    url: str
    source: str


def resolve_backend_url(environment: Environment, port: int) -> BackendUrl:
    """``BACKEND_URL``, then ``RENDER_EXTERNAL_URL``, then ``BASE_URL``, then this machine."""
    for name in ("BACKEND_URL", "RENDER_EXTERNAL_URL", "BASE_URL"):
        value = (environment.optional(name) or "").rstrip("/")
        if value:
            return BackendUrl(value, name)
    return BackendUrl(f"http://localhost:{port}", "default")


def production_faults(
    *, backend_url: BackendUrl, required: Mapping[str, str | None], known_defaults: frozenset[str]
) -> list[str]:
    """What keeps this configuration from serving real patients: one sentence a fault."""
    faults = [f"{name} is required in production." for name, value in required.items() if not value]
    faults += [
        f"{name} is a known default: set a secret of your own."
        for name, value in required.items()
        if value and any(default in value for default in known_defaults)
    ]
    keys = required.get("CREDENTIAL_ENCRYPTION_KEYS") or ""
    if not all(_is_encryption_key(key.strip()) for key in keys.split(",") if key.strip()):
        faults.append("CREDENTIAL_ENCRYPTION_KEYS must be keys of 32 bytes in URL-safe base64, newest first.")
    if not backend_url.url.startswith("https://"):
        faults.append("BACKEND_URL must begin with https://.")
    if not is_reachable_from_outside(backend_url.url):
        faults.append("BACKEND_URL must be reachable from outside: not localhost and not an ngrok tunnel.")
    return faults


def is_reachable_from_outside(url: str) -> bool:
    """Whether providers could call this address: a host that is neither this machine nor a developer's tunnel."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return False
    labels = host.split(".")
    if not host or labels[-1] == "localhost" or any(label.startswith("ngrok") for label in labels):
        return False
    try:
        address = ip_address(host)
    except ValueError:
        return True
    return not (address.is_loopback or address.is_unspecified)


def _is_encryption_key(key: str) -> bool:
    try:
        return len(urlsafe_b64decode(key)) == FERNET_KEY_BYTES
    except (ValueError, TypeError):
        return False
