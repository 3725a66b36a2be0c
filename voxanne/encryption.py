"""Credentials at rest: a text field encrypted with rotating keys of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from contextlib import suppress
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import models

# The first byte says in which form bytes were sealed; a token's is 0x80.
SEALED = b"\x01"
SEALED_BYTES = b"voxanne: sealed bytes, form 1"
NONCE_BYTES = 12
UNREADABLE_BYTES = "What is kept fits none of CREDENTIAL_ENCRYPTION_KEYS: add the key it was written with."


class UnreadableCredential(RuntimeError):
    """A stored credential was encrypted with a key that is no longer configured."""


@lru_cache(maxsize=8)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(plain: str) -> str:
    """Encrypts with the newest of ``CREDENTIAL_ENCRYPTION_KEYS``."""
    return _cipher(tuple(settings.CREDENTIAL_ENCRYPTION_KEYS)).encrypt(plain.encode()).decode()


def decrypt(stored: str) -> str:
    """Decrypts with any configured key. Raises UnreadableCredential when none fits."""
    try:
        return _cipher(tuple(settings.CREDENTIAL_ENCRYPTION_KEYS)).decrypt(stored.encode()).decode()
    except InvalidToken as error:
        raise UnreadableCredential(
            "A stored credential fits none of CREDENTIAL_ENCRYPTION_KEYS: add the key it was written with."
        ) from error


@lru_cache(maxsize=8)
def _ciphers_of_bytes(keys: tuple[str, ...]) -> tuple[AESGCM, ...]:
    """One for each key, made of it for this purpose alone."""
    return tuple(
        AESGCM(hmac.digest(base64.urlsafe_b64decode(key), SEALED_BYTES, hashlib.sha256)) for key in keys
    )


def seal(plain: bytes) -> bytes:
    """Encrypts bytes with the newest key: of these there are many and large ones, for which a text token's own form
    costs ten times as much."""
    newest = _ciphers_of_bytes(tuple(settings.CREDENTIAL_ENCRYPTION_KEYS))[0]
    nonce = os.urandom(NONCE_BYTES)
    return SEALED + nonce + newest.encrypt(nonce, plain, None)


def unseal(sealed: bytes) -> bytes:
    """What was sealed. Raises UnreadableCredential when no configured key fits."""
    keys = tuple(settings.CREDENTIAL_ENCRYPTION_KEYS)
    if not sealed.startswith(SEALED):
        return _unsealed_token(sealed, keys)
    nonce, hidden = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    for cipher in _ciphers_of_bytes(keys):
        with suppress(InvalidTag, ValueError):
            return cipher.decrypt(nonce, hidden, None)
    raise UnreadableCredential(UNREADABLE_BYTES)


def _unsealed_token(sealed: bytes, keys: tuple[str, ...]) -> bytes:
    """What was sealed before bytes had a form of their own: the decoded text of a token."""
    try:
        return _cipher(keys).decrypt(base64.urlsafe_b64encode(sealed))
    except InvalidToken as error:
        raise UnreadableCredential(UNREADABLE_BYTES) from error


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]  # Django's fields take no subscript at run time
    """Text that the database holds encrypted; blank stays blank."""

    def get_prep_value(self, value: Any) -> Any:
        return encrypt(value) if value else value

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return decrypt(value) if value else value
