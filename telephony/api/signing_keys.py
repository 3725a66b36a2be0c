"""The issuer's public keys (``JWT_JWKS_URL``), fetched ahead by a thread of their own: no request ever waits for them.

Source: RFC 7517. Only keys that can check RS256 (RSA of 2048 bits and more) or ES256 (P-256) are kept, each under its
own id and for its own algorithm alone. A set that cannot be fetched, or holds no such key, leaves the last good one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

import jwt
import requests
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from django.conf import settings

logger = structlog.get_logger(__name__)

RS256, ES256 = "RS256", "ES256"
ALGORITHM_OF_KIND = {"RSA": RS256, "EC": ES256}
LEAST_RSA_BITS = 2048
REFRESH_SECONDS = 300.0
RETRY_SECONDS = 5.0
# A token that names a key we do not know has the keys fetched again, but not at a stranger's pace.
LEAST_GAP_SECONDS = 10.0
TIMEOUT = (2.0, 5.0)
MOST_BYTES = 256 * 1024

PublicKey = RSAPublicKey | EllipticCurvePublicKey
Keys = Mapping[tuple[str, str], PublicKey]


class KeysUnavailable(Exception):
    """No key set was ever fetched."""


class UnusableKeys(ValueError):
    """What the address answered is no set with a key that we could use."""


class KeyRing:
    """The newest good set of one address, kept current by its thread."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._keys: Keys | None = None
        self._wanted, self._ended = threading.Event(), threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Starts the thread; does nothing while it lives. A process that was forked starts its own."""
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._keep_current, name="signing-keys", daemon=True)
                self._thread.start()

    def end(self) -> None:
        """Lets the thread end, within the shortest time between two fetches."""
        self._ended.set()
        self._wanted.set()

    def key(self, key_id: str, algorithm: str) -> PublicKey | None:
        """The key of this id for this algorithm; None when it is not known, which has the set fetched again soon.

        Raises KeysUnavailable while there is no set at all.
        """
        self.begin()
        keys = self._keys
        if keys is None:
            raise KeysUnavailable
        found = keys.get((key_id, algorithm))
        if found is None:
            self._wanted.set()
        return found

    def refresh(self) -> bool:
        """Fetches the set; whether a new one is in force."""
        try:
            self._keys = fetched(self.address)
        except (requests.RequestException, UnusableKeys) as error:
            logger.warning(
                "signing_keys_not_fetched", reason=type(error).__name__, known=self._keys is not None
            )
            return False
        return True

    def _keep_current(self) -> None:
        while not self._ended.is_set():
            try:
                wait = REFRESH_SECONDS if self.refresh() else RETRY_SECONDS
            # Whatever an address may answer, the thread goes on: its last good set is in use.
            except Exception as error:
                logger.exception("signing_keys_failed", reason=type(error).__name__)
                wait = RETRY_SECONDS
            self._ended.wait(min(LEAST_GAP_SECONDS, wait))
            self._wanted.wait(max(0.0, wait - LEAST_GAP_SECONDS))
            self._wanted.clear()


def fetched(address: str) -> Keys:
    """The usable keys at the address. Raises requests.RequestException, UnusableKeys."""
    headers = {"Accept": "application/json"}
    with requests.get(
        address, headers=headers, timeout=TIMEOUT, stream=True, allow_redirects=False
    ) as answer:
        answer.raise_for_status()
        body = answer.raw.read(MOST_BYTES + 1, decode_content=True)
    if answer.status_code != 200 or len(body) > MOST_BYTES:
        raise UnusableKeys
    try:
        listed = json.loads(body)["keys"]
        usable = dict(_usable(each) for each in listed if _is_usable(each))
    except (ValueError, TypeError, KeyError, RecursionError, jwt.PyJWTError) as error:
        raise UnusableKeys from error
    if not usable:
        raise UnusableKeys
    return usable


def _is_usable(listed: Any) -> bool:
    """A public key for signatures, of a kind we take, that names itself. One odd key does not spoil the others."""
    if not isinstance(listed, dict) or "d" in listed or not isinstance(listed.get("kid"), str):
        return False
    algorithm = ALGORITHM_OF_KIND.get(str(listed.get("kty")))
    fits = listed.get("use", "sig") == "sig" and listed.get("alg", algorithm) == algorithm
    if algorithm is None or not fits or (algorithm == ES256 and listed.get("crv") != "P-256"):
        return False
    try:
        _, key = _usable(listed)
    except (ValueError, TypeError, jwt.PyJWTError):
        return False
    return not isinstance(key, RSAPublicKey) or key.key_size >= LEAST_RSA_BITS


def _usable(listed: dict[str, Any]) -> tuple[tuple[str, str], PublicKey]:
    algorithm = ALGORITHM_OF_KIND[listed["kty"]]
    return (listed["kid"], algorithm), jwt.PyJWK.from_dict(listed, algorithm).key


_ring: KeyRing | None = None


def key_ring() -> KeyRing:
    """The ring of the address in the settings."""
    global _ring
    if _ring is None or _ring.address != settings.JWT_JWKS_URL:
        _ring = KeyRing(settings.JWT_JWKS_URL)
    return _ring


def begin_fetching() -> None:
    """Called when the server starts, so that the first request finds the keys there."""
    if settings.JWT_JWKS_URL:
        key_ring().begin()
