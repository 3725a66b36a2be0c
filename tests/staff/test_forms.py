from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from bookings.models import Closure, Provider, ProviderService, Service, WorkingHours
from messaging.models import Contact, MessageTemplate, SenderAccount
from telephony.models import PhoneNumber, TransferDestination, VapiCredential
from telephony.vapi.credentials import digest
from tests.clinics import Clinic
from tests.staff.conftest import SignIn
from voxanne.tenancy.models import AuditEntry, Organization, User
from voxanne.tenancy.scope import platform_scope

NO_ROWS = {f"{prefix}-{count}_FORMS": "0" for prefix in ("hours", "offers") for count in ("TOTAL", "INITIAL")}


@pytest.fixture
def client(elm: Clinic, sign_in: SignIn) -> Client:
    return sign_in(elm.staff["owner"])


@pytest.fixture
def operating(elm: Clinic, operator: User, sign_in: SignIn) -> Client:
    return sign_in(operator)


def one(model: type[Any], **values: Any) -> Any:
    with platform_scope("check"):
        return model.objects.filter(**values).first()


def closure(**changes: str) -> dict[str, str]:
    return {
        "reason": "Holiday",
        "starts_at_0": "24/12/2026",
        "starts_at_1": "12:00",
        "ends_at_0": "26/12/2026",
        "ends_at_1": "00:00",
        **changes,
    }


def test_times_are_read_on_the_clinics_clock(client: Client, elm: Clinic) -> None:
    assert client.post("/admin/bookings/closure/add/", closure()).status_code == 302
    made = one(Closure)
    assert made.org_id == elm.id
    assert made.starts_at == datetime(2026, 12, 24, 17, 0, tzinfo=UTC)


def test_an_operators_form_is_read_on_the_named_clinics_clock(
    operating: Client, elm: Clinic, oak: Clinic
) -> None:
    operating.post("/admin/bookings/closure/add/", closure(org=str(oak.id)))
    made = one(Closure, org=oak.org)
    assert made.starts_at == datetime(2026, 12, 24, 12, 0, tzinfo=UTC)
    page = operating.get(f"/admin/bookings/closure/{made.pk}/change/").content.decode()
    assert 'value="24/12/2026"' in page
    assert 'value="12:00"' in page


def test_an_operator_must_name_the_clinic(operating: Client) -> None:
    response = operating.post("/admin/bookings/closure/add/", closure())
    assert response.status_code == 200
    assert one(Closure) is None


def test_a_closure_ends_after_it_starts(client: Client) -> None:
    response = client.post("/admin/bookings/closure/add/", closure(ends_at_0="23/12/2026"))
    assert "It ends before it starts." in response.content.decode()
    assert one(Closure) is None


def test_a_slug_taken_at_this_clinic_is_an_error_of_the_form(client: Client, oak: Clinic) -> None:
    form = {
        "name": "Again",
        "slug": "consultation",
        "minutes": "30",
        "buffer_before": "0",
        "buffer_after": "0",
        "minimum_notice": "0",
        "horizon_days": "9",
    }
    assert client.post("/admin/bookings/service/add/", form).status_code == 200
    assert (
        client.post("/admin/bookings/service/add/", {**form, "slug": "other", "is_default": "on"}).status_code
        == 200
    )
    assert client.post("/admin/bookings/service/add/", {**form, "slug": "other"}).status_code == 302
    assert one(Service, slug="other").minutes == 30


def test_a_provider_is_entered_with_hours_and_services(client: Client, elm: Clinic) -> None:
    form = {
        "name": "Dr. New",
        "slug": "new",
        "position": "5",
        "active": "on",
        **NO_ROWS,
        "hours-TOTAL_FORMS": "1",
        "hours-0-weekday": "5",
        "hours-0-opens": "09:00",
        "hours-0-closes": "00:00",
        "offers-TOTAL_FORMS": "1",
        "offers-0-service": str(elm.service.pk),
    }
    assert client.post("/admin/bookings/provider/add/", form).status_code == 302
    provider = one(Provider, slug="new")
    hours, offer = one(WorkingHours, provider=provider), one(ProviderService, provider=provider)
    assert (provider.org_id, hours.org_id, offer.org_id) == (elm.id, elm.id, elm.id)
    assert (hours.opens, hours.closes) == (time(9), time(0))
    assert one(AuditEntry, action="provider.add").subject == f"providers:{provider.pk}"


def test_hours_that_close_before_they_open_are_refused(client: Client) -> None:
    form = {
        "name": "Dr. New",
        "slug": "new",
        "position": "5",
        **NO_ROWS,
        "hours-TOTAL_FORMS": "1",
        "hours-0-weekday": "5",
        "hours-0-opens": "09:00",
        "hours-0-closes": "08:00",
    }
    assert "It closes before it opens" in client.post("/admin/bookings/provider/add/", form).content.decode()
    assert one(Provider, slug="new") is None


def test_a_change_is_told_in_the_rows_history_without_its_values(client: Client, elm: Clinic) -> None:
    provider = elm.providers[0]
    with platform_scope("test data"):
        provider.hours.all().delete()
        provider.offers.all().delete()
    form = {"name": "Dr. Renamed", "slug": provider.slug, "position": "0", "active": "on", **NO_ROWS}
    client.post(f"/admin/bookings/provider/{provider.pk}/change/", form)
    line = one(AuditEntry, action="provider.change")
    assert line.reason == "Changed Name."
    page = client.get(f"/admin/bookings/provider/{provider.pk}/history/").content.decode()
    assert "provider.change" in page
    assert "Changed Name." in page


def test_deleting_is_told_in_the_trail(client: Client, elm: Clinic) -> None:
    client.post("/admin/bookings/closure/add/", closure())
    made = one(Closure)
    client.post(f"/admin/bookings/closure/{made.pk}/delete/", {"post": "yes"})
    assert one(Closure) is None
    assert one(AuditEntry, action="closure.delete").subject == f"closures:{made.pk}"


def test_a_contacts_number_is_kept_as_e164(client: Client, elm: Clinic) -> None:
    client.post(
        "/admin/messaging/contact/add/", {"name": "Dana", "phone": "(415) 555-0142", "language": "en"}
    )
    assert one(Contact).phone == "+14155550142"
    again = client.post(
        "/admin/messaging/contact/add/", {"name": "Dan", "phone": "415 555 0142", "language": "en"}
    )
    assert again.status_code == 200
    unreachable = client.post("/admin/messaging/contact/add/", {"name": "Nobody", "language": "en"})
    assert "A phone number or an e-mail address is needed." in unreachable.content.decode()


def test_no_patients_name_is_kept_outside_the_clinics_own_rows(client: Client, elm: Clinic) -> None:
    """Django's own log belongs to no clinic and keeps rows' names."""
    client.post(
        "/admin/messaging/contact/add/", {"name": "Dana", "phone": "(415) 555-0142", "language": "en"}
    )
    contact = one(Contact)
    form = {"name": "Dana Ruiz", "phone": contact.phone, "language": "en"}
    client.post(f"/admin/messaging/contact/{contact.pk}/change/", form)
    assert one(AuditEntry, action="contact.change").subject == f"contacts:{contact.pk}"
    assert not LogEntry.objects.exists()


def test_a_template_can_only_name_what_is_filled_in(client: Client) -> None:
    for body in ("Dear {patient}", "Brace {", "{clinic.secret}"):
        response = client.post("/admin/messaging/messagetemplate/add/", {"kind": "reminder", "body": body})
        assert response.status_code == 200, body
    client.post(
        "/admin/messaging/messagetemplate/add/", {"kind": "reminder", "body": "{clinic}: see you on {date}."}
    )
    assert one(MessageTemplate).kind == "reminder"


def test_callers_are_not_put_through_to_a_number_of_our_own(client: Client, elm: Clinic) -> None:
    form = {
        "department": "general",
        "number": elm.number,
        "weekdays": ["0", "1"],
        "opens": "09:00",
        "closes": "17:00",
    }
    response = client.post("/admin/telephony/transferdestination/add/", form)
    assert "a number of our own" in response.content.decode()
    client.post("/admin/telephony/transferdestination/add/", {**form, "number": "415 555 0188"})
    made = one(TransferDestination)
    assert (made.number, made.weekdays) == ("+14155550188", [0, 1])


def test_a_numbers_forwarding_is_kept_as_e164(operating: Client, elm: Clinic) -> None:
    number = one(PhoneNumber)
    form = {
        "number": number.number,
        "mode": "forward",
        "forward_to": "(415) 555-0123",
        "label": "Desk",
        "ring_seconds": "20",
        "voicemail_seconds": "0",
        "assistant_address": "(415) 555-0124",
        "vapi_phone_number_id": "",
    }
    page = f"/admin/telephony/phonenumber/{number.pk}/change/"
    assert operating.post(page, form).status_code == 302
    changed = one(PhoneNumber)
    assert (changed.forward_to, changed.vapi_phone_number_id) == ("+14155550123", None)
    assert (changed.ring_seconds, changed.assistant_address) == (20, "+14155550124")
    operating.post(page, {**form, "assistant_address": "sip:elm@sip.vapi.ai"})
    assert one(PhoneNumber).assistant_address == "sip:elm@sip.vapi.ai"


def test_a_vapi_secret_is_entered_once_and_never_shown(operating: Client, elm: Clinic) -> None:
    secret = "a-secret-that-is-long-enough"
    form = {"org": str(elm.id), "label": "next", "secret": secret, "active": "on"}
    assert operating.post("/admin/telephony/vapicredential/add/", form).status_code == 302
    made = one(VapiCredential, label="next")
    assert (made.secret, made.digest) == (secret, digest(secret))
    page = f"/admin/telephony/vapicredential/{made.pk}/change/"
    assert secret not in operating.get(page).content.decode()
    assert operating.post(page, {"label": "renamed", "secret": "", "active": "on"}).status_code == 302
    kept = one(VapiCredential, label="renamed")
    assert (kept.secret, kept.digest) == (secret, digest(secret))
    operating.post(page, {"label": "renamed", "secret": "another-secret-of-some-length", "active": "on"})
    assert one(VapiCredential, label="renamed").digest == digest("another-secret-of-some-length")


def test_a_short_or_known_vapi_secret_is_refused(operating: Client, elm: Clinic) -> None:
    for secret in ("short", "", elm.secret):
        form = {"org": str(elm.id), "label": "next", "secret": secret, "active": "on"}
        assert operating.post("/admin/telephony/vapicredential/add/", form).status_code == 200, secret
    assert one(VapiCredential, label="next") is None


def test_a_senders_credentials_can_be_replaced_but_not_read(
    operating: Client, elm: Clinic, sign_in: SignIn
) -> None:
    sender = one(SenderAccount)
    page = f"/admin/messaging/senderaccount/{sender.pk}/change/"
    form = {
        "number": sender.number,
        "account_sid": "AC" + "0" * 32,
        "auth_token": "the-auth-token",
        "api_secret": "",
    }
    assert operating.post(page, form).status_code == 302
    assert one(SenderAccount).auth_token == "the-auth-token"
    assert (
        operating.post(page, {**form, "auth_token": "", "paused_reason": "Carrier fault"}).status_code == 302
    )
    kept = one(SenderAccount)
    assert (kept.auth_token, kept.paused_reason) == ("the-auth-token", ""), "a pause is an act, not a field"
    for reader in (operating, *(sign_in(elm.staff[role]) for role in ("owner", "viewer"))):
        shown = reader.get(page).content.decode()
        assert "the-auth-token" not in shown
        assert kept.number in shown


def test_a_number_of_another_clinic_is_refused_in_words(operating: Client, elm: Clinic, oak: Clinic) -> None:
    """Held by the database as well: the one is dialled, the other texted from."""
    with platform_scope("test data"):
        SenderAccount.objects.filter(org=oak.org).update(number="+14155567005")
    number, sender = one(PhoneNumber, org=elm.org), one(SenderAccount, org=elm.org)
    typed = {"number": "+14155567005", "mode": "forward", "label": "", "forward_to": ""}
    refused = (
        operating.post(f"/admin/telephony/phonenumber/{number.pk}/change/", typed),
        operating.post(f"/admin/messaging/senderaccount/{sender.pk}/change/", {"number": oak.number}),
    )
    for page in refused:
        assert page.status_code == 200
        assert "This number belongs to another clinic." in page.content.decode()
    assert one(PhoneNumber, org=elm.org).number == elm.number


@pytest.mark.parametrize(
    ("sid", "said"),
    [("MG" + "6" * 32, "service belongs to another clinic."), ("+14155567009", "is MG and 32")],
)
def test_a_messaging_service_of_another_clinic_is_refused_in_words(
    operating: Client, elm: Clinic, oak: Clinic, sid: str, said: str
) -> None:
    with platform_scope("test"):
        SenderAccount.objects.filter(org=oak.org).update(messaging_service_sid="MG" + "6" * 32)
    sender = one(SenderAccount, org=elm.org)
    form = {"number": sender.number, "messaging_service_sid": sid}
    page = operating.post(f"/admin/messaging/senderaccount/{sender.pk}/change/", form)
    assert page.status_code == 200
    assert said in page.content.decode()
    assert one(SenderAccount, org=elm.org).messaging_service_sid == ""


def test_a_clinic_is_made_by_an_operator_and_never_deleted(operating: Client, client: Client) -> None:
    form = {"name": "New", "slug": "new", "timezone": "Europe/Berlin", "country": "DE", "active": "on"}
    assert client.post("/admin/tenancy/organization/add/", form).status_code == 403
    assert (
        operating.post("/admin/tenancy/organization/add/", {**form, "timezone": "Mars/Base"}).status_code
        == 200
    )
    assert operating.post("/admin/tenancy/organization/add/", form).status_code == 302
    made = one(Organization, slug="new")
    assert (
        operating.post(f"/admin/tenancy/organization/{made.pk}/delete/", {"post": "yes"}).status_code == 403
    )
    assert one(AuditEntry, action="organization.add").org_id == made.pk


def test_an_operator_makes_a_person_and_a_membership(operating: Client, elm: Clinic) -> None:
    form = {
        "username": "new-person",
        "password1": "correct horse battery",
        "password2": "correct horse battery",
        "usable_password": "true",
        "is_staff": "on",
    }
    assert operating.post("/admin/tenancy/user/add/", form).status_code == 302
    person = User.objects.get(username="new-person")
    membership = {"org": str(elm.id), "user": str(person.pk), "role": "receptionist"}
    assert operating.post("/admin/tenancy/membership/add/", membership).status_code == 302
    assert operating.post("/admin/tenancy/membership/add/", membership).status_code == 200


def test_an_owner_sees_their_people_but_no_password(client: Client, elm: Clinic) -> None:
    person = elm.staff["viewer"]
    page = client.get(f"/admin/tenancy/user/{person.pk}/change/").content.decode()
    assert person.username in page
    assert "md5" not in page
    assert "is_superuser" not in page
    assert client.get(f"/admin/tenancy/user/{person.pk}/password/").status_code == 403
    assert client.post(f"/admin/tenancy/user/{person.pk}/change/", {"is_superuser": "on"}).status_code == 403


def test_periodic_tasks_can_be_opened_and_saved_by_an_operator(operating: Client) -> None:
    from django_celery_beat.models import IntervalSchedule, PeriodicTask

    every = IntervalSchedule.objects.create(every=5, period="seconds")
    task = PeriodicTask.objects.create(name="Sweep", task="voxanne.durable.tasks.sweep", interval=every)
    page = f"/admin/django_celery_beat/periodictask/{task.pk}/change/"
    assert operating.get(page).status_code == 200
    form = {
        "name": "Sweep now",
        "task": task.task,
        "interval": str(every.pk),
        "args": "[]",
        "kwargs": "{}",
        "headers": "{}",
        "enabled": "on",
    }
    assert operating.post(page, form).status_code == 302
    assert PeriodicTask.objects.get(pk=task.pk).name == "Sweep now"
