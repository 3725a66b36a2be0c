"""A number is one clinic's, whether patients dial it or it is texted from: held by the database, told by the form."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from messaging.models import SenderAccount
from messaging.senders import is_anothers_number
from telephony.clinics import is_our_number
from telephony.models import PhoneNumber
from tests.clinics import Clinic
from voxanne.tenancy.scope import org_scope, platform_scope

ANOTHERS = "This number belongs to another clinic."


@pytest.mark.django_db
def test_a_clinics_number_cannot_be_another_clinics_sender(elm: Clinic, oak: Clinic) -> None:
    with platform_scope("test"):
        PhoneNumber.objects.create(org=elm.org, number="+14155567001")
    with org_scope(oak.id), pytest.raises(IntegrityError, match=ANOTHERS), transaction.atomic():
        SenderAccount.objects.update(number="+14155567001")


@pytest.mark.django_db
def test_a_clinics_sender_cannot_be_another_clinics_number(elm: Clinic, oak: Clinic) -> None:
    with org_scope(elm.id):
        SenderAccount.objects.update(number="+14155567002")
    with org_scope(oak.id), pytest.raises(IntegrityError, match=ANOTHERS), transaction.atomic():
        PhoneNumber.objects.create(org=oak.org, number="+14155567002")


@pytest.mark.django_db
def test_a_clinic_may_text_from_the_number_it_is_dialled_on(elm: Clinic) -> None:
    with org_scope(elm.id):
        PhoneNumber.objects.create(org=elm.org, number="+14155567003")
        assert SenderAccount.objects.update(number="+14155567003") == 1


@pytest.mark.django_db
def test_a_number_can_change_hands_once_both_rows_are_free(elm: Clinic, oak: Clinic) -> None:
    with org_scope(elm.id):
        PhoneNumber.objects.all().delete()
        SenderAccount.objects.all().delete()
    with org_scope(oak.id):
        assert SenderAccount.objects.update(number=elm.number) == 1


@pytest.mark.django_db
def test_the_database_tells_whether_and_not_whose(elm: Clinic, oak: Clinic) -> None:
    assert is_anothers_number(elm.number, oak.id)
    assert not is_anothers_number(elm.number, elm.id)
    assert not is_anothers_number("+14155567004", oak.id)


@pytest.mark.django_db
def test_a_number_at_whatsapp_is_a_clinics_like_any_other(elm: Clinic, oak: Clinic) -> None:
    with org_scope(elm.id):
        SenderAccount.objects.update(whatsapp_number="+14155567008")
    assert is_anothers_number("+14155567008", oak.id)
    assert not is_anothers_number("+14155567008", elm.id)
    assert is_our_number("+14155567008")
    with org_scope(oak.id), pytest.raises(IntegrityError, match=ANOTHERS), transaction.atomic():
        SenderAccount.objects.update(number="+14155567008")


@pytest.mark.django_db
def test_no_number_is_nobodys(elm: Clinic, oak: Clinic) -> None:
    assert not is_anothers_number("", oak.id)
    assert not is_our_number("")


@pytest.mark.django_db
def test_a_messaging_service_is_one_clinics(elm: Clinic, oak: Clinic) -> None:
    service = "MG" + "7" * 32
    with org_scope(elm.id):
        SenderAccount.objects.update(messaging_service_sid=service)
    assert is_anothers_number(service, oak.id)
    with org_scope(oak.id), pytest.raises(IntegrityError), transaction.atomic():
        SenderAccount.objects.update(messaging_service_sid=service)
