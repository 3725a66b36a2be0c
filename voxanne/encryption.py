"""Credentials at rest: a text field encrypted with rotating keys of its own."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


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


def seal(plain: bytes) -> bytes:
    """The same for bytes, kept as bytes: a third shorter than the text of a token."""
    token = _cipher(tuple(settings.CREDENTIAL_ENCRYPTION_KEYS)).encrypt(plain)
    return base64.urlsafe_b64decode(token)


def unseal(sealed: bytes) -> bytes:
    """What was sealed. Raises UnreadableCredential when no configured key fits."""
    token = base64.urlsafe_b64encode(sealed)
    try:
        return _cipher(tuple(settings.CREDENTIAL_ENCRYPTION_KEYS)).decrypt(token)
    except InvalidToken as error:
        raise UnreadableCredential(
            "What is kept fits none of CREDENTIAL_ENCRYPTION_KEYS: add the key it was written with."
        ) from error


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]  # Django's fields take no subscript at run time
    """Text that the database holds encrypted; blank stays blank."""

    def get_prep_value(self, value: Any) -> Any:
        return encrypt(value) if value else value

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return decrypt(value) if value else value
