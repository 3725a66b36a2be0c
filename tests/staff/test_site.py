from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from bookings.models import Appointment
from bookings.spoken import new_confirmation_code
from messaging.staff_tasks import tell_staff
from messaging.states import TaskKind
from telephony.models import Call
from tests.clinics import Clinic
from tests.staff.conftest import SignIn
from tests.staff.rows import Furnished
from voxanne.staff import theme
from voxanne.tenancy.scope import org_scope, platform_scope


def visit(furnished: Furnished, at: datetime, name: str, **changes: Any) -> Appointment:
    clinic = furnished.clinic
    template = furnished.one(Appointment)
    with platform_scope("test data"):
        return Appointment.objects.create(
            org=clinic.org,
            provider=clinic.providers[1],
            service=clinic.service,
            contact=template.contact,
            patient_name=name,
            starts_at=at,
            ends_at=at + timedelta(minutes=30),
            blocked_from=at,
            blocked_until=at + timedelta(minutes=30),
            source="voice",
            confirmation_code=new_confirmation_code(),
            **changes,
        )


def figures(client: Client) -> dict[str, str]:
    return {figure.title: figure.value for figure in client.get("/admin/").context["figures"]}


def test_the_start_page_counts_the_clinics_own_day(elms: Furnished, oaks: Furnished, sign_in: SignIn) -> None:
    zone = elms.clinic.org.zone
    today = timezone.now().astimezone(zone).date()
    visit(elms, datetime.combine(today, time(0, 5), tzinfo=zone), "First today")
    visit(elms, datetime.combine(today, time(23, 20), tzinfo=zone), "Last today")
    visit(elms, datetime.combine(today - timedelta(days=1), time(23, 25), tzinfo=zone), "Yesterday")
    client = sign_in(elms.clinic.staff["receptionist"])
    assert figures(client)["Appointments today"] == "2"
    page = client.get("/admin/").content.decode()
    assert "First today" in page
    assert "Yesterday" not in page
    assert oaks.mark not in page


def test_the_start_page_counts_calls_and_texts_needing_attention(elms: Furnished, sign_in: SignIn) -> None:
    client = sign_in(elms.clinic.staff["receptionist"])
    assert figures(client)["Calls today"] == "1"
    assert figures(client)["Texts needing attention"] == "1"
    with platform_scope("test data"):
        Call.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert figures(client)["Calls today"] == "0"


def test_the_next_six_are_the_next_six(elms: Furnished, sign_in: SignIn) -> None:
    for hour in range(8):
        visit(elms, timezone.now() + timedelta(hours=2 + hour), f"Patient {hour}")
    visit(elms, timezone.now() + timedelta(hours=1), "Called off", status="cancelled")
    context = sign_in(elms.clinic.staff["viewer"]).get("/admin/").context
    following = next(table for table in context["tables"] if table.title == "Next six appointments")
    names = [str(row[1]) for row in following.rows]
    assert len(names) == 6
    assert all(f"Patient {hour}" in names[hour] for hour in range(6))


def test_signing_in_leads_to_the_start_page(elm: Clinic, settings: Any) -> None:
    client = Client(REMOTE_ADDR="203.0.113.9")
    page = client.get("/admin/login/").content.decode()
    assert 'name="next" value="/admin/"' in page
    form = {"username": "elm-street-viewer", "password": "correct horse battery", "next": "/admin/"}
    assert client.post("/admin/login/", form).headers["Location"] == "/admin/"


def test_signing_in_says_nothing_about_clinics(elm: Clinic) -> None:
    page = Client().get("/admin/login/").content.decode()
    assert elm.org.name not in page
    assert "Closures" not in page


def test_the_environment_is_named_on_every_page(elm: Clinic, sign_in: SignIn) -> None:
    page = sign_in(elm.staff["viewer"]).get("/admin/bookings/service/").content.decode()
    assert settings.VOXANNE_ENV.capitalize() in page
    assert theme.unfold_settings("production")["ENVIRONMENT"](None) == ["Production", "danger"]
    assert theme.unfold_settings("production")["ENVIRONMENT_TITLE_PREFIX"] is None


def test_the_sidebar_shows_what_the_person_may_open(elm: Clinic, sign_in: SignIn, operator: Any) -> None:
    receptionist = sign_in(elm.staff["receptionist"]).get("/admin/").content.decode()
    owner = sign_in(elm.staff["owner"]).get("/admin/").content.decode()
    everything = sign_in(operator).get("/admin/").content.decode()
    assert "<span>Team</span>" not in receptionist
    assert "<span>Team</span>" in owner
    assert "<span>Heartbeats</span>" not in owner
    assert "<span>Heartbeats</span>" in everything


def test_only_one_place_of_the_sidebar_is_lit(elm: Clinic, sign_in: SignIn) -> None:
    client = sign_in(elm.staff["owner"])
    for address in ("/admin/", "/admin/bookings/service/", "/admin/messaging/message/"):
        assert client.get(address).content.decode().count(' active"') == 1, address


def test_the_sidebar_counts_what_waits_and_shows_nothing_for_nothing(elm: Clinic, sign_in: SignIn) -> None:
    badge = "min-w-[18px]"
    client = sign_in(elm.staff["receptionist"])
    assert badge not in client.get("/admin/").content.decode()
    with org_scope(elm.id):
        tell_staff(elm.id, kind=TaskKind.CALLER_MESSAGE, text="Please ring back.", dedupe_key="one")
    assert client.get("/admin/").content.decode().count(badge) == 1


def test_patients_are_not_searched_by_the_command_palette(elms: Furnished, sign_in: SignIn) -> None:
    """Its results lie in the shared cache for minutes."""
    response = sign_in(elms.clinic.staff["owner"]).get("/admin/search/", {"s": elms.mark, "extended": "1"})
    assert elms.mark not in response.content.decode().replace(f"s={elms.mark}", "")


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("weight", "on"), [("600", "#ffffff"), ("700", "#ccfbf1"), ("500", "#101828")])
def test_the_palette_can_be_read(weight: str, on: str) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    lighter, darker = sorted((luminance(theme.PRIMARY[weight]), luminance(on)), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_scripts_are_files_of_our_own(elm: Clinic, sign_in: SignIn) -> None:
    page = sign_in(elm.staff["viewer"]).get("/admin/").content.decode()
    assert "/admin/static/staff/keyboard.js" in page
    assert "/admin/static/staff/staff.css" in page
