"""What the lists mask for a role cannot be found out by that role: not by filters in the address, nor by searching."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from bookings.models import Appointment
from messaging.conversation.models import Conversation
from messaging.models import Contact, InboundMessage, Message, OptOut
from telephony.models import Call
from tests.staff.addresses import pages
from tests.staff.conftest import SignIn
from tests.staff.rows import Furnished
from voxanne.staff.clinic_admin import ClinicAdmin
from voxanne.tenancy.models import Membership
from voxanne.tenancy.scope import platform_scope

# A list, and the column of its rows that it masks.
MASKED = [
    (Message, "recipient"),
    (InboundMessage, "sender"),
    (OptOut, "recipient"),
    (Contact, "phone"),
    (Conversation, "number"),
    (Call, "from_number"),
    (Appointment, "contact__phone"),
]
SEARCHED = [(kind, column) for kind, column in MASKED if kind is not OptOut]
EACH = pytest.mark.parametrize(("kind", "column"), MASKED, ids=lambda value: getattr(value, "__name__", None))
EACH_SEARCHED = pytest.mark.parametrize(
    ("kind", "column"), SEARCHED, ids=lambda value: getattr(value, "__name__", None)
)
ROLES = ["viewer", "receptionist"]


def page_of(kind: Any) -> str:
    return f"/admin/{kind._meta.app_label}/{kind._meta.model_name}/"


def number_of(row: Any, column: str) -> str:
    for part in column.split("__"):
        row = getattr(row, part)
    return str(row)


def finds(client: Client, kind: Any, row: Any, parameters: dict[str, str]) -> bool:
    everything = {"when": "all"} if kind is Appointment else {}
    response = client.get(page_of(kind), {**everything, **parameters})
    return response.status_code == 200 and f"{page_of(kind)}{row.pk}/change/" in response.content.decode()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("look_up", ["", "__startswith", "__gt"])
@EACH
def test_a_look_up_in_the_address_is_refused(
    elms: Furnished, sign_in: SignIn, role: str, kind: Any, column: str, look_up: str
) -> None:
    client, row = sign_in(elms.clinic.staff[role]), elms.one(kind)
    assert finds(client, kind, row, {})
    right = {f"{column}{look_up}": number_of(row, column)}
    wrong = {f"{column}{look_up}": "+19995550000"}
    answers = [client.get(page_of(kind), given) for given in (right, wrong)]
    said = {(answer.status_code, answer.headers.get("Location")) for answer in answers}
    # Django itself refuses look-ups through another table.
    assert said in ({(302, f"{page_of(kind)}?e=1")}, {(400, None)}), "right or wrong, it says the same"


def test_declared_filters_go_on_working(elms: Furnished, sign_in: SignIn) -> None:
    client = sign_in(elms.clinic.staff["viewer"])
    message = elms.one(Message)
    for given in (
        {"state__exact": "dead_letter"},
        {"kind__exact": "confirmation", "error_code": "30003"},
        {"created_at_from": "2020-01-01", "created_at_to": "2099-01-01", "o": "1", "p": "1"},
        {"org__id__exact": str(elms.clinic.id)},
        {"state__exact": "dead_letter", "kind__exact": ""},
    ):
        assert finds(client, Message, message, given), given
    assert not finds(client, Message, message, {"state__exact": "queued"})


def test_no_list_of_a_clinics_rows_filters_by_what_it_does_not_declare(
    elms: Furnished, sign_in: SignIn
) -> None:
    client = sign_in(elms.clinic.staff["viewer"])
    for page in pages():
        if isinstance(page, ClinicAdmin) and client.get(page_of(page.model)).status_code == 200:
            assert client.get(page_of(page.model), {"created_at__gt": "2020-01-01"}).status_code == 302, page


@EACH_SEARCHED
def test_a_viewer_finds_a_row_by_what_the_mask_shows_or_by_the_whole_number_alone(
    elms: Furnished, sign_in: SignIn, kind: Any, column: str
) -> None:
    client, row = sign_in(elms.clinic.staff["viewer"]), elms.one(kind)
    number = number_of(row, column)
    for known in (number, number[-4:], number[-10:], f"({number[2:5]}) {number[5:8]}-{number[8:]}"):
        assert finds(client, kind, row, {"q": known}), known
    for guess in (number[:8], number[:3], number[3:8], number[-5:], number[-9:], number[-3:], number[2]):
        assert not finds(client, kind, row, {"q": guess}), guess


@EACH_SEARCHED
def test_a_receptionist_finds_a_row_by_any_part_of_the_number(
    elms: Furnished, sign_in: SignIn, kind: Any, column: str
) -> None:
    client, row = sign_in(elms.clinic.staff["receptionist"]), elms.one(kind)
    number = number_of(row, column)
    for part in (number, number[3:8], number[-5:]):
        assert finds(client, kind, row, {"q": part}), part


def test_a_viewer_still_finds_people_by_name_and_no_address_by_its_parts(
    elms: Furnished, sign_in: SignIn
) -> None:
    contact = elms.one(Contact)
    with platform_scope("test data"):
        Contact.objects.filter(pk=contact.pk).update(email="dana.ruiz@example.org")
    viewer = sign_in(elms.clinic.staff["viewer"])
    assert finds(viewer, Contact, contact, {"q": elms.mark})
    assert finds(viewer, Contact, contact, {"q": "Dana.Ruiz@example.org"})
    for guess in ("dana.ruiz", "@example.org", "ruiz@example.org"):
        assert not finds(viewer, Contact, contact, {"q": guess}), guess
    assert finds(sign_in(elms.clinic.staff["receptionist"]), Contact, contact, {"q": "dana.ruiz"})


def test_who_is_a_viewer_at_one_of_two_clinics_searches_parts_at_the_other_alone(
    elms: Furnished, oaks: Furnished, sign_in: SignIn
) -> None:
    person = elms.clinic.staff["receptionist"]
    with platform_scope("test data"):
        Membership.objects.create(org=oaks.clinic.org, user=person, role="viewer")
    client = sign_in(person)
    here, there = elms.one(Message), oaks.one(Message)
    part = here.recipient[3:8]
    assert re.search(part, there.recipient)
    assert finds(client, Message, here, {"q": part})
    assert not finds(client, Message, there, {"q": part})
    assert finds(client, Message, there, {"q": there.recipient})
