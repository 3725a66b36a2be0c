from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bookings.booking import Wish, book
from bookings.models import Appointment, CalendarConnection, CalendarPush
from bookings.states import AppointmentSource
from messaging.models import Contact, Message
from tests.clinics import Clinic
from tests.staff.conftest import SignIn
from voxanne.staff.clinic_admin import ClinicAdmin
from voxanne.tenancy.models import AuditEntry, Membership
from voxanne.tenancy.scope import org_scope, platform_scope

LIST = "/admin/bookings/appointment/"


@pytest.fixture
def client(elm: Clinic, sign_in: SignIn) -> Client:
    return sign_in(elm.staff["receptionist"])


def form_for(clinic: Clinic, **changes: Any) -> dict[str, Any]:
    return {
        "patient_name": "Dana Ruiz",
        "phone": "(415) 555-0142",
        "service": str(clinic.service.pk),
        "provider": str(clinic.providers[0].pk),
        "day": clinic.next_weekday().isoformat(),
        "at": "10:00",
        **changes,
    }


def visits(clinic: Clinic) -> list[Appointment]:
    with org_scope(clinic.id):
        return list(Appointment.objects.order_by("created_at", "pk").select_related("contact"))


def booked(clinic: Clinic, at: time = time(10)) -> Appointment:
    wish = Wish(
        day=clinic.next_weekday(),
        at=at,
        source=AppointmentSource.VOICE,
        patient_name="Sam Okafor",
        phone="+14155550143",
        provider="provider-0",
    )
    with org_scope(clinic.id):
        return Appointment.objects.get(pk=book(clinic.plan(), wish).appointment_id)


def test_staff_book_through_the_door(client: Client, elm: Clinic) -> None:
    response = client.post(f"{LIST}add/", form_for(elm))
    (visit,) = visits(elm)
    assert response.headers["Location"] == f"{LIST}{visit.pk}/change/"
    assert (visit.source, visit.contact.phone, visit.overlaps_knowingly) == ("staff", "+14155550142", False)
    assert visit.starts_at == datetime.combine(elm.next_weekday(), time(10), tzinfo=elm.org.zone).astimezone(
        UTC
    )
    with org_scope(elm.id):
        assert Message.objects.get().about == f"appointment:{visit.pk}"
        assert AuditEntry.objects.get(action="appointment.book").actor == elm.staff["receptionist"]


def test_the_same_visit_entered_twice_is_booked_once(client: Client, elm: Clinic) -> None:
    client.post(f"{LIST}add/", form_for(elm))
    again = client.post(f"{LIST}add/", form_for(elm))
    assert again.status_code == 302
    assert len(visits(elm)) == 1


def test_a_taken_time_is_refused_beside_the_field_with_free_times(client: Client, elm: Clinic) -> None:
    booked(elm)
    response = client.post(f"{LIST}add/", form_for(elm, at="10:15"))
    page = response.content.decode()
    assert response.status_code == 200
    assert "That time has just been taken." in page
    assert f"Free: {elm.next_weekday():%a %-d %b}" in page
    assert len(visits(elm)) == 1


def test_a_refusal_leaves_no_contact_behind(client: Client, elm: Clinic) -> None:
    booked(elm)
    client.post(f"{LIST}add/", form_for(elm, at="10:15"))
    with org_scope(elm.id):
        assert not Contact.objects.filter(phone="+14155550142").exists()


def test_staff_place_a_visit_over_another_on_purpose(client: Client, elm: Clinic) -> None:
    booked(elm)
    client.post(f"{LIST}add/", form_for(elm, at="10:15", overlaps_knowingly="on"))
    assert [visit.overlaps_knowingly for visit in visits(elm)] == [False, True]


def test_whose_visit_is_overlapped_must_be_said(client: Client, elm: Clinic) -> None:
    response = client.post(f"{LIST}add/", form_for(elm, provider="", overlaps_knowingly="on"))
    assert "Say whose visit it is to be placed over." in response.content.decode()
    assert visits(elm) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"at": "18:00"}, "We are not open for that visit at that time."),
        ({"day": "2020-01-06"}, "That time has already passed."),
        ({"day": "2026-02-30"}, "Enter a valid date."),
        ({"at": "25:61"}, "Enter a valid time."),
        ({"phone": "12"}, "That is no complete phone number"),
        ({"phone": ""}, "A phone number or an e-mail address is needed."),
        ({"minutes": "241"}, "less than or equal to 240"),
        ({"service": "no-such"}, "Select a valid choice"),
    ],
)
def test_what_the_door_refuses_the_form_says(
    client: Client, elm: Clinic, changes: dict[str, str], said: str
) -> None:
    response = client.post(f"{LIST}add/", form_for(elm, **changes))
    assert response.status_code == 200
    assert said in response.content.decode()
    assert visits(elm) == []


def test_a_viewer_cannot_book(elm: Clinic, sign_in: SignIn) -> None:
    client = sign_in(elm.staff["viewer"])
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}add/", form_for(elm)).status_code == 403
    assert visits(elm) == []


def test_somebody_at_two_clinics_says_which(elm: Clinic, oak: Clinic, sign_in: SignIn) -> None:
    with platform_scope("test data"):
        Membership.objects.create(org=oak.org, user=elm.staff["receptionist"], role="receptionist")
    client = sign_in(elm.staff["receptionist"])
    assert "at which clinic?" in client.get(f"{LIST}add/").content.decode()
    client.post(f"{LIST}add/?clinic={oak.id}", form_for(oak, phone="020 7946 0018"))
    assert visits(elm) == []
    (visit,) = visits(oak)
    assert visit.contact.phone == "+442079460018"


def test_another_clinics_id_in_the_address_does_not_open_its_book(
    client: Client, elm: Clinic, oak: Clinic
) -> None:
    client.post(f"{LIST}add/?clinic={oak.id}", form_for(oak))
    assert visits(oak) == []


def test_a_cancelled_visit_frees_its_time_and_tells_the_patient(client: Client, elm: Clinic) -> None:
    visit = booked(elm)
    client.post(
        f"{LIST}{visit.pk}/cancel/",
        {"_form_submitted": "1", "reason": "Dr. Lee is ill", "tell_patient": "on"},
    )
    with org_scope(elm.id):
        visit.refresh_from_db()
        kinds = set(Message.objects.values_list("kind", "state"))
        line = AuditEntry.objects.get(action="appointment.cancel")
    assert (visit.status, visit.cancel_reason) == ("cancelled", "Dr. Lee is ill")
    assert kinds == {("confirmation", "canceled"), ("cancelled", "queued")}
    assert (line.actor, line.reason) == (elm.staff["receptionist"], "Dr. Lee is ill")
    assert booked(elm).pk != visit.pk


def test_a_visit_is_cancelled_without_a_text_when_asked(client: Client, elm: Clinic) -> None:
    visit = booked(elm)
    client.post(f"{LIST}{visit.pk}/cancel/", {"_form_submitted": "1", "reason": "By phone"})
    with org_scope(elm.id):
        assert not Message.objects.filter(kind="cancelled").exists()


def test_cancelling_needs_a_reason_and_counts_once(client: Client, elm: Clinic) -> None:
    visit = booked(elm)
    blank = client.post(f"{LIST}{visit.pk}/cancel/", {"_form_submitted": "1", "reason": ""})
    assert b"This field is required" in blank.content
    for _ in range(2):
        client.post(f"{LIST}{visit.pk}/cancel/", {"_form_submitted": "1", "reason": "Twice"})
    with org_scope(elm.id):
        assert AuditEntry.objects.filter(action="appointment.cancel").count() == 1


def test_no_form_moves_a_visit(client: Client, elm: Clinic) -> None:
    visit = booked(elm)
    tomorrow = timezone.now() + timedelta(days=1)
    form = {
        "patient_name": "Sam Okafor-Lee",
        "notes": "Prefers mornings",
        "starts_at_0": f"{tomorrow:%d/%m/%Y}",
        "starts_at_1": "08:00",
        "status": "completed",
        "provider": str(elm.providers[1].pk),
    }
    assert client.post(f"{LIST}{visit.pk}/change/", form).status_code == 302
    with org_scope(elm.id):
        changed = Appointment.objects.get(pk=visit.pk)
    assert (changed.patient_name, changed.notes) == ("Sam Okafor-Lee", "Prefers mornings")
    assert (changed.starts_at, changed.status, changed.provider_id) == (
        visit.starts_at,
        "confirmed",
        visit.provider_id,
    )


def test_a_saved_form_writes_only_what_it_changed(
    client: Client, elm: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visit that is cancelled while its form is being saved stays cancelled."""
    visit = booked(elm)
    save = ClinicAdmin.save_model

    def overtaken(page: ClinicAdmin, request: Any, obj: Any, form: Any, change: bool) -> None:
        Appointment.objects.filter(pk=visit.pk).update(status="cancelled")
        save(page, request, obj, form, change)

    monkeypatch.setattr(ClinicAdmin, "save_model", overtaken)
    client.post(f"{LIST}{visit.pk}/change/", {"patient_name": "Sam Okafor", "notes": "Late note"})
    with org_scope(elm.id):
        visit.refresh_from_db()
    assert (visit.status, visit.notes) == ("cancelled", "Late note")


def test_nobody_deletes_a_visit(client: Client, elm: Clinic, operator: Any, sign_in: SignIn) -> None:
    visit = booked(elm)
    for each in (client, sign_in(operator)):
        assert each.post(f"{LIST}{visit.pk}/delete/", {"post": "yes"}).status_code == 403
    assert len(visits(elm)) == 1


def test_the_list_begins_with_what_is_coming(client: Client, elm: Clinic) -> None:
    visit = booked(elm)
    with org_scope(elm.id):
        began, over = timezone.now() - timedelta(days=3), timezone.now() - timedelta(days=2)
        Appointment.objects.filter(pk=visit.pk).update(
            starts_at=began, ends_at=over, blocked_from=began, blocked_until=over
        )
    assert "Sam Okafor" not in client.get(LIST).content.decode()
    for parameters in ({"when": "past"}, {"when": "all"}, {"q": "Okafor"}, {"status__exact": "confirmed"}):
        assert "Sam Okafor" in client.get(LIST, parameters).content.decode(), parameters
    assert "Sam Okafor" not in client.get(LIST, {"when": "today"}).content.decode()


def test_a_visits_page_shows_its_texts_and_its_event(client: Client, elm: Clinic) -> None:
    with org_scope(elm.id):
        CalendarConnection.objects.create(org=elm.org, provider=elm.providers[0], refresh_token="token")
    visit = booked(elm)
    page = client.get(f"{LIST}{visit.pk}/change/").content.decode()
    with org_scope(elm.id):
        text, push = Message.objects.get(), CalendarPush.objects.get()
    assert f"/admin/messaging/message/{text.pk}/change/" in page
    assert f"/admin/bookings/calendarpush/{push.pk}/change/" in page
