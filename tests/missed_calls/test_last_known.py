"""What is kept of every number outside the database: whole, secret where it must be, and true."""

from __future__ import annotations

import os
import stat
import time

import pytest
from django.conf import settings

from messaging.models import SenderAccount
from telephony.models import PhoneNumber, VapiCredential
from telephony.never_dead import last_known, line_keeping
from telephony.never_dead.last_known import LastKnown
from tests.clinics import Clinic
from tests.missed_calls.twilio_post import call, set_up
from tests.telephony.vapi_client import signed
from voxanne.tenancy.models import Organization
from voxanne.tenancy.scope import org_scope, platform_scope

pytestmark = pytest.mark.django_db

LINE = "+14155550199"
ENTRY = LastKnown("+14155550100", LINE, 18, "AC1", "a-token", ("a-secret",), ("an-id", "another"))


def test_an_entry_comes_back_as_it_was_kept() -> None:
    assert last_known.keep(ENTRY)
    assert last_known.of_number(ENTRY.number) == ENTRY
    assert last_known.of_vapi_ids(["", "unknown", "another"]) == ENTRY
    assert list(last_known.ringing_at(LINE)) == [ENTRY] * 3


def test_nothing_is_known_of_others() -> None:
    assert last_known.of_number("") is None
    assert last_known.of_number("+14155559999") is None
    assert last_known.of_vapi_ids([]) is None
    assert list(last_known.ringing_at("")) == []
    assert last_known.age_of(ENTRY) is None


def test_secrets_are_not_readable_in_the_files_nor_by_others() -> None:
    last_known.keep(ENTRY)
    files = list(last_known.folder().iterdir())
    assert len(files) == 3
    for file in files:
        text = file.read_text()
        assert "a-token" not in text
        assert "a-secret" not in text
        assert "4155550100" not in file.name
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(last_known.folder().stat().st_mode) == 0o700


def test_a_file_that_cannot_be_read_counts_as_none(settings: object) -> None:
    last_known.keep(ENTRY)
    path = last_known.folder() / f"{last_known.key_of('number', ENTRY.number)}.json"
    whole = path.read_text()
    for broken in ("", "{", "[]", "{}", whole[:-5], '{"number": 1}'):
        path.write_text(broken)
        assert last_known.of_number(ENTRY.number) is None
    path.write_text(whole)
    settings.CREDENTIAL_ENCRYPTION_KEYS = ["ZGV2ZWxvcG1lbnQtb25seS1rZXktb3RoZXItb25lISE="]  # type: ignore[attr-defined]
    assert last_known.of_number(ENTRY.number) is None


def test_an_unchanged_entry_is_only_marked_as_true() -> None:
    last_known.keep(ENTRY)
    path = last_known.folder() / f"{last_known.key_of('number', ENTRY.number)}.json"
    before = path.read_bytes()
    os.utime(path, (time.time() - 1000,) * 2)
    assert (last_known.age_of(ENTRY) or 0) > 900
    last_known.keep(ENTRY)
    assert path.read_bytes() == before
    assert (last_known.age_of(ENTRY) or 999) < 60


def test_a_folder_that_cannot_be_written_harms_nobody() -> None:
    last_known.folder().parent.mkdir()
    last_known.folder().write_text("in the way")
    assert not last_known.keep(ENTRY)
    assert last_known.of_number(ENTRY.number) is None


def test_every_number_is_kept_as_the_database_has_it(elm: Clinic, oak: Clinic) -> None:
    assert line_keeping.refresh_all() == 2
    known = last_known.of_number(elm.number)
    assert known is not None
    assert known == LastKnown(
        elm.number, LINE, 18, settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN, (elm.secret,),
        (elm.phone_number_id, elm.assistant_id),
    )  # fmt: skip
    assert last_known.of_vapi_ids([elm.assistant_id]) == known
    with org_scope(elm.id):
        PhoneNumber.objects.all().delete()
    assert line_keeping.refresh_all() == 1
    assert last_known.of_number(elm.number) is None
    assert last_known.of_number(oak.number) is not None


def test_a_closed_clinic_is_forgotten(elm: Clinic, oak: Clinic) -> None:
    line_keeping.refresh_all()
    with platform_scope("test"):
        Organization.objects.filter(pk=elm.id).update(active=False)
    assert line_keeping.refresh_all() == 1
    assert last_known.of_number(elm.number) is None


def test_a_database_that_knows_nobody_makes_us_forget_nobody(elm: Clinic) -> None:
    line_keeping.refresh_all()
    with platform_scope("test"):
        Organization.objects.update(active=False)
    assert line_keeping.refresh_all() == 0
    assert last_known.of_number(elm.number) is not None


def test_a_call_puts_right_what_is_kept(elm: Clinic) -> None:
    assert last_known.of_number(elm.number) is None
    call(elm).rings()
    known = last_known.of_number(elm.number)
    assert known is not None
    assert known.line == LINE
    set_up(elm, forward_to="+14155550188")
    call(elm).rings()
    changed = last_known.of_number(elm.number)
    assert changed is not None
    assert changed.line == "+14155550188"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("leave_nothing")
def test_a_change_is_kept_as_soon_as_it_is_committed(elm: Clinic) -> None:
    known = last_known.of_number(elm.number)
    assert known is not None
    set_up(elm, forward_to="+14155550188")
    with org_scope(elm.id):
        sender = SenderAccount.objects.get()
        sender.account_sid, sender.auth_token = "AC" + "7" * 32, "a-new-token"
        sender.save()
        VapiCredential.objects.get().delete()
    changed = last_known.of_number(elm.number)
    assert changed is not None
    assert (changed.line, changed.auth_token, changed.vapi_secrets) == ("+14155550188", "a-new-token", ())


def test_an_hmac_can_be_made_of_a_kept_secret() -> None:
    """The secrets are kept whole, not as digests: an HMAC needs them."""
    last_known.keep(ENTRY)
    known = last_known.of_number(ENTRY.number)
    assert known is not None
    assert signed(known.vapi_secrets[0], b"x", "1") == signed("a-secret", b"x", "1")
