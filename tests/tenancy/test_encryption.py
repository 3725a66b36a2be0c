"""Credentials at rest: unreadable in the database, readable through every key that is still configured."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection

from messaging.models import SenderAccount
from tests.clinics import Clinic
from voxanne.encryption import UnreadableCredential, decrypt, encrypt, seal, unseal
from voxanne.tenancy.scope import org_scope

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
TOKEN = "a token of the clinic's — with an em dash"


@pytest.fixture(autouse=True)
def _old_key(settings: Any) -> None:
    settings.CREDENTIAL_ENCRYPTION_KEYS = [OLD]


def test_what_was_encrypted_is_read_again() -> None:
    assert decrypt(encrypt(TOKEN)) == TOKEN


def test_the_same_credential_looks_different_each_time() -> None:
    assert encrypt(TOKEN) != encrypt(TOKEN)
    assert TOKEN not in encrypt(TOKEN)


def test_a_new_key_writes_and_the_old_one_still_reads(settings: Any) -> None:
    before = encrypt(TOKEN)
    settings.CREDENTIAL_ENCRYPTION_KEYS = [NEW, OLD]
    after = encrypt(TOKEN)
    assert decrypt(before) == decrypt(after) == TOKEN
    settings.CREDENTIAL_ENCRYPTION_KEYS = [NEW]
    assert decrypt(after) == TOKEN
    with pytest.raises(UnreadableCredential, match="add the key it was written with"):
        decrypt(before)


@pytest.mark.parametrize("stored", ["", "not encrypted", "gAAAAAB", encrypt.__name__ * 20])
def test_what_no_key_opens_says_what_to_do(stored: str) -> None:
    with pytest.raises(UnreadableCredential):
        decrypt(stored)


PLAIN = bytes(range(256)) * 40


def test_sealed_bytes_are_read_again_and_look_different_each_time() -> None:
    assert unseal(seal(PLAIN)) == PLAIN
    assert unseal(seal(b"")) == b""
    assert seal(PLAIN) != seal(PLAIN)
    assert PLAIN[:32] not in seal(PLAIN)


def test_a_new_key_seals_and_the_old_one_still_unseals(settings: Any) -> None:
    before = seal(PLAIN)
    settings.CREDENTIAL_ENCRYPTION_KEYS = [NEW, OLD]
    after = seal(PLAIN)
    assert unseal(before) == unseal(after) == PLAIN
    settings.CREDENTIAL_ENCRYPTION_KEYS = [NEW]
    assert unseal(after) == PLAIN
    with pytest.raises(UnreadableCredential, match="add the key it was written with"):
        unseal(before)


def test_bytes_that_were_sealed_as_a_token_are_still_read(settings: Any) -> None:
    token = base64.urlsafe_b64decode(Fernet(OLD).encrypt(PLAIN))
    assert unseal(token) == PLAIN
    settings.CREDENTIAL_ENCRYPTION_KEYS = [NEW, OLD]
    assert unseal(token) == PLAIN
    settings.CREDENTIAL_ENCRYPTION_KEYS = [NEW]
    with pytest.raises(UnreadableCredential):
        unseal(token)


@pytest.mark.parametrize("position", [0, 1, 12, 13, 100, -1])
def test_a_sealed_byte_that_was_changed_is_noticed(position: int) -> None:
    spoilt = bytearray(seal(PLAIN))
    spoilt[position] ^= 1
    with pytest.raises(UnreadableCredential):
        unseal(bytes(spoilt))


@pytest.mark.parametrize("kept", [b"", b"\x01", b"\x01short", b"\x01" + b"0" * 40, b"\x80", b"no seal"])
def test_bytes_that_nobody_sealed_say_what_to_do(kept: bytes) -> None:
    with pytest.raises(UnreadableCredential):
        unseal(kept)


@pytest.fixture
def sender(elm: Clinic) -> SenderAccount:
    with org_scope(elm.id):
        account: SenderAccount = SenderAccount.objects.get()
        account.auth_token = TOKEN
        account.save(update_fields=["auth_token"])
    return account


def stored(clinic: Clinic) -> tuple[str, str]:
    with org_scope(clinic.id), connection.cursor() as cursor:
        cursor.execute("SELECT auth_token, api_secret FROM sender_accounts")
        found: tuple[str, str] = cursor.fetchone()
    return found


@pytest.mark.django_db
def test_the_database_holds_it_encrypted_and_blank_stays_blank(elm: Clinic, sender: SenderAccount) -> None:
    token, secret = stored(elm)
    assert TOKEN not in token
    assert decrypt(token) == TOKEN
    assert secret == ""
    with org_scope(elm.id):
        assert SenderAccount.objects.get().auth_token == TOKEN


@pytest.mark.django_db
def test_saving_a_row_again_writes_it_with_the_newest_key(
    elm: Clinic, sender: SenderAccount, settings: Any
) -> None:
    settings.CREDENTIAL_ENCRYPTION_KEYS = [NEW, OLD]
    with org_scope(elm.id):
        SenderAccount.objects.get().save(update_fields=["auth_token"])
    settings.CREDENTIAL_ENCRYPTION_KEYS = [NEW]
    assert decrypt(stored(elm)[0]) == TOKEN
