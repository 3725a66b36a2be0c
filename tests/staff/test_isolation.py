"""Two clinics: no address of the staff pages shows or changes the other's rows, whoever asks."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.test import Client

from bookings.models import Provider, ProviderService, Service, WorkingHours
from messaging.models import Contact, DeliveryAttempt, Message
from telephony.models import CallEvent
from tests.staff.addresses import (
    acts_of,
    list_addresses,
    pages,
    row_addresses,
    rows_with_pages,
    site_addresses,
)
from tests.staff.conftest import SignIn
from tests.staff.rows import Furnished
from voxanne.staff.clinic_admin import ClinicAdmin, OperatorOnly
from voxanne.tenancy.admin import PersonAdmin
from voxanne.tenancy.models import Membership, Role, User
from voxanne.tenancy.owned import Owned
from voxanne.tenancy.scope import platform_scope

OUR_APPS = ("tenancy", "monitoring", "messaging", "bookings", "telephony")
CONFIRMED = {"_form_submitted": "1", "reason": "none", "post": "yes", "confirmed": "yes"}
ONE_DAY = {
    "starts_at_0": "24/11/2026",
    "starts_at_1": "09:00",
    "ends_at_0": "24/11/2026",
    "ends_at_1": "17:00",
}
# Shown inside another row's page.
BESIDE_ANOTHER = (DeliveryAttempt, WorkingHours, ProviderService, CallEvent)


def shows(response: Any, mark: str) -> bool:
    """Whether the page has this text in it."""
    return mark.encode() in (response.getvalue() if response.streaming else response.content)


def test_every_table_has_a_page() -> None:
    registered = {page.model for page in pages()}
    ours = {model for label in OUR_APPS for model in apps.get_app_config(label).get_models()}
    assert ours - registered == set(BESIDE_ANOTHER)


def test_every_page_is_a_clinics_or_the_operators() -> None:
    for page in pages():
        owned = issubclass(page.model, Owned)
        kind = ClinicAdmin if owned or page.model._meta.label == "tenancy.Organization" else OperatorOnly
        assert isinstance(page, (kind, PersonAdmin)), page


def test_the_furnishing_has_a_row_of_every_page_that_clinics_see(elms: Furnished) -> None:
    furnished = {type(row) for row in elms.rows}
    assert {page.model for page in pages() if isinstance(page, ClinicAdmin)} <= furnished


@pytest.mark.parametrize("role", [Role.OWNER, Role.VIEWER])
def test_no_list_shows_another_clinics_rows(
    role: Role, elms: Furnished, oaks: Furnished, sign_in: SignIn
) -> None:
    client = sign_in(elms.clinic.staff[role.value])
    for page in pages():
        for address in list_addresses(page):
            response = client.get(address, {"when": "all"} if "appointment" in address else {})
            assert response.status_code in (200, 403), address
            assert not shows(response, oaks.mark), address


def test_lists_do_show_the_clinics_own_rows(elms: Furnished, sign_in: SignIn) -> None:
    client = sign_in(elms.clinic.staff["owner"])
    quiet = {"transferdestination", "callcommand", "contact"}
    for page in pages():
        if isinstance(page, ClinicAdmin) and page.opts.model_name not in quiet:
            parameters = {"when": "all"} if page.opts.model_name == "appointment" else {}
            response = client.get(list_addresses(page)[0], parameters)
            assert shows(response, elms.mark) or shows(response, "•••"), page.opts.model_name


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("method", ["get", "post"])
def test_no_address_opens_another_clinics_row(
    role: Role, method: str, elms: Furnished, oaks: Furnished, sign_in: SignIn
) -> None:
    client = sign_in(elms.clinic.staff[role.value])
    before = snapshot(oaks)
    for page, row in rows_with_pages(oaks.rows):
        for address in row_addresses(page, row):
            response = getattr(client, method)(address, CONFIRMED)
            assert response.status_code in (302, 403, 404), f"{method} {address}: {response.status_code}"
            assert not shows(response, oaks.mark), address
    assert snapshot(oaks) == before


def test_the_clinics_own_rows_do_open(elms: Furnished, sign_in: SignIn) -> None:
    client = sign_in(elms.clinic.staff["owner"])
    for page, row in rows_with_pages(elms.rows):
        opened = client.get(f"/admin/{page.opts.app_label}/{page.opts.model_name}/{row.pk}/change/")
        assert opened.status_code == 200, page


def test_filters_search_and_autocomplete_know_only_the_clinics_own(
    elms: Furnished, oaks: Furnished, sign_in: SignIn
) -> None:
    client = sign_in(elms.clinic.staff["owner"])
    provider, contact = oaks.one(Provider), oaks.one(Contact)
    for address in (
        f"/admin/bookings/appointment/?provider__id__exact={provider.pk}",
        f"/admin/bookings/appointment/?org__id__exact={oaks.clinic.id}",
        "/admin/bookings/appointment/?q=mark-of&when=all",
        "/admin/messaging/message/?q=mark-of",
        f"/admin/messaging/contact/?q={contact.phone[1:]}",
    ):
        response = client.get(address)
        assert response.status_code == 200
        assert not shows(response, oaks.mark), address
    found = client.get(
        "/admin/autocomplete/",
        {"app_label": "tenancy", "model_name": "membership", "field_name": "user", "term": "mark-of"},
    )
    assert found.status_code == 200
    assert shows(found, "elm-street-owner")
    assert not shows(found, "oak-road")


def test_acts_on_selected_rows_leave_another_clinics_alone(
    elms: Furnished, oaks: Furnished, sign_in: SignIn
) -> None:
    client = sign_in(elms.clinic.staff["owner"])
    before = snapshot(oaks)
    for page, row in rows_with_pages(oaks.rows):
        address = list_addresses(page)[0]
        for action in (
            "delete_selected",
            *[act if isinstance(act, str) else act.__name__ for act in page.actions or ()],
        ):
            chosen = {"action": action, "_selected_action": str(row.pk)}
            response = client.post(address, {**chosen, **CONFIRMED})
            assert response.status_code in (200, 302, 403), address
            assert not shows(response, oaks.mark), address
    assert snapshot(oaks) == before


def test_a_form_cannot_name_another_clinics_row(elms: Furnished, oaks: Furnished, sign_in: SignIn) -> None:
    client = sign_in(elms.clinic.staff["owner"])
    form = {
        "reason": "ours",
        "provider": str(oaks.one(Provider).pk),
        **ONE_DAY,
    }
    response = client.post("/admin/bookings/closure/add/", form)
    assert response.status_code == 200
    assert b"Select a valid choice" in response.content


def test_somebody_at_two_clinics_cannot_mix_them(elms: Furnished, oaks: Furnished, sign_in: SignIn) -> None:
    person = elms.clinic.staff["owner"]
    with platform_scope("test data"):
        Membership.objects.create(org=oaks.clinic.org, user=person, role="owner")
    client = sign_in(person)
    form = {
        "org": str(elms.clinic.id),
        "reason": "x",
        "provider": str(oaks.one(Provider).pk),
        **ONE_DAY,
    }
    response = client.post("/admin/bookings/closure/add/", form)
    assert b"That belongs to another clinic." in response.content
    offer = {
        "org": str(elms.clinic.id),
        "name": "New",
        "slug": "new",
        "position": "3",
        **no_hours(),
        "offers-TOTAL_FORMS": "1",
        "offers-INITIAL_FORMS": "0",
        "offers-0-service": str(oaks.one(Service).pk),
    }
    assert b"That belongs to another clinic." in client.post("/admin/bookings/provider/add/", offer).content
    with platform_scope("check"):
        assert not Provider.objects.filter(slug="new").exists()


def test_an_owner_here_and_a_viewer_there_stays_a_viewer_there(
    elms: Furnished, oaks: Furnished, sign_in: SignIn
) -> None:
    person = elms.clinic.staff["owner"]
    with platform_scope("test data"):
        Membership.objects.create(org=oaks.clinic.org, user=person, role="viewer")
    client = sign_in(person)
    members = client.get("/admin/tenancy/membership/")
    assert shows(members, elms.clinic.staff["viewer"].username)
    assert not shows(members, oaks.clinic.staff["viewer"].username)
    visit = next(row for row in oaks.rows if row._meta.model_name == "appointment")
    assert client.get(f"/admin/bookings/appointment/{visit.pk}/cancel/").status_code == 403
    assert (
        client.post(f"/admin/bookings/service/{oaks.one(Service).pk}/change/", {"name": "x"}).status_code
        == 403
    )
    form = {
        "org": str(oaks.clinic.id),
        "name": "Ours",
        "slug": "ours",
        "minutes": "30",
        "horizon_days": "1",
        "buffer_before": "0",
        "buffer_after": "0",
        "minimum_notice": "0",
    }
    client.post("/admin/bookings/service/add/", form)
    with platform_scope("check"):
        assert not Service.objects.filter(slug="ours", org=oaks.clinic.org).exists()


def test_selected_texts_are_judged_by_the_role_at_their_own_clinic(
    elms: Furnished, oaks: Furnished, sign_in: SignIn
) -> None:
    person = elms.clinic.staff["owner"]
    with platform_scope("test data"):
        Membership.objects.create(org=oaks.clinic.org, user=person, role="receptionist")
    before = snapshot(oaks)
    chosen = {"action": "redrive_selected", "_selected_action": str(oaks.one(Message).pk)}
    response = sign_in(person).post("/admin/messaging/message/", {**chosen, **CONFIRMED})
    assert response.status_code == 403
    assert snapshot(oaks) == before


def test_nobody_sees_anything_before_signing_in(elms: Furnished) -> None:
    client = Client()
    addresses = [address for page in pages() for address in list_addresses(page)]
    addresses += [address for page, row in rows_with_pages(elms.rows) for address in row_addresses(page, row)]
    for address in [*addresses, *site_addresses()]:
        for response in (client.get(address), client.post(address)):
            assert response.status_code in (200, 302, 403, 404), address
            assert not shows(response, elms.mark), address
            assert response.status_code != 200 or "login" in address or "jsi18n" in address, address


def test_somebody_without_a_clinic_sees_nothing(elms: Furnished, sign_in: SignIn) -> None:
    client = sign_in(User.objects.create_user("nobody", password="correct horse battery", is_staff=True))
    assert client.get("/admin/").status_code == 200
    for page, row in rows_with_pages(elms.rows):
        for address in [*list_addresses(page), *row_addresses(page, row)]:
            assert not shows(client.get(address), elms.mark), address


def test_platform_tables_are_shut_to_clinics(elms: Furnished, sign_in: SignIn) -> None:
    client = sign_in(elms.clinic.staff["owner"])
    for page in pages():
        if isinstance(page, OperatorOnly):
            for address in list_addresses(page):
                assert client.get(address).status_code == 403, address


def test_an_operator_sees_every_clinic(
    elms: Furnished, oaks: Furnished, operator: User, sign_in: SignIn
) -> None:
    client = sign_in(operator)
    response = client.get("/admin/bookings/provider/")
    assert shows(response, elms.mark)
    assert shows(response, oaks.mark)
    for page in pages():
        for address in list_addresses(page):
            assert client.get(address).status_code in (200, 403), address
    for page, row in rows_with_pages(oaks.rows):
        for address in row_addresses(page, row):
            assert client.get(address).status_code in (200, 302, 403), address


def test_the_redirect_by_content_type_is_shut(elms: Furnished, sign_in: SignIn) -> None:
    client = sign_in(elms.clinic.staff["owner"])
    kind = ContentType.objects.get_for_model(Contact)
    for pk in (elms.one(Contact).pk, "no-uuid"):
        assert client.get(f"/admin/r/{kind.pk}/{pk}/").status_code == 404


def test_ids_that_are_none_are_not_found(elms: Furnished, sign_in: SignIn) -> None:
    client = sign_in(elms.clinic.staff["owner"])
    for page in pages():
        for name in ("change", "history", "delete", *acts_of(page)):
            address = f"/admin/{page.opts.app_label}/{page.opts.model_name}/no-uuid/{name}/"
            assert client.get(address).status_code in (302, 403, 404), address


def snapshot(furnished: Furnished) -> list[Any]:
    """Every column of every row of the clinic."""
    with platform_scope("check"):
        return [_values(row) for row in furnished.rows]


def _values(row: Model) -> dict[str, Any] | None:
    return type(row)._base_manager.filter(pk=row.pk).values().first()


def no_hours() -> dict[str, str]:
    return {"hours-TOTAL_FORMS": "0", "hours-INITIAL_FORMS": "0"}
