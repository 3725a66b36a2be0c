"""Credentials at rest: unreadable in the database, readable through every key that is still configured."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection

from messaging.models import SenderAccount
from tests.clinics import Clinic
from voxanne.encryption import UnreadableCredential, decrypt, encrypt
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
