"""Acts of staff: none changes anything on GET, each loads its row through the page's own queryset."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import Model
from django.http import HttpRequest

from bookings.models import Appointment
from messaging.models import Message
from tests.staff.addresses import acts_of, list_addresses, pages, row_addresses, rows_with_pages
from tests.staff.conftest import SignIn
from tests.staff.rows import Furnished
from tests.staff.test_isolation import snapshot
from voxanne.staff.clinic_admin import ClinicAdmin
from voxanne.tenancy.models import User


def test_every_act_on_a_row_has_a_dialog() -> None:
    """The theme runs an act without one on GET."""
    acts = [(page, act) for page in pages() for act in acts_of(page)]
    assert acts
    for page, act in acts:
        assert getattr(page, act).dialog["title"], f"{page}.{act}"
        assert getattr(page, act).needs, f"{page}.{act}"


def test_no_page_has_acts_that_the_theme_would_run_on_get() -> None:
    for page in pages():
        assert not page.actions_list, page
        assert not page.actions_submit_line, page


def test_no_address_changes_anything_on_get(elms: Furnished, operator: User, sign_in: SignIn) -> None:
    """Asked by the one person who may do everything, and by an owner where an act is."""
    client, owner = sign_in(operator), sign_in(elms.clinic.staff["owner"])
    before = snapshot(elms)
    for page, row in rows_with_pages(elms.rows):
        chosen = {"action": "redrive_selected", "_selected_action": str(row.pk), "confirmed": "yes"}
        everything = {**chosen, "_form_submitted": "1", "reason": "none"}
        for address in [*row_addresses(page, row), list_addresses(page)[0]]:
            client.get(address, everything)
        for act in acts_of(page):
            owner.get(f"/admin/{page.opts.app_label}/{page.opts.model_name}/{row.pk}/{act}/", everything)
    assert snapshot(elms) == before


def test_a_dialog_opened_and_left_changes_nothing(elms: Furnished, sign_in: SignIn) -> None:
    client = sign_in(elms.clinic.staff["owner"])
    before = snapshot(elms)
    for page, row in rows_with_pages(elms.rows):
        for act in acts_of(page):
            address = f"/admin/{page.opts.app_label}/{page.opts.model_name}/{row.pk}/{act}/"
            assert client.get(address).status_code in (200, 403), address
            assert client.post(address, {}).status_code in (200, 403), address
    assert snapshot(elms) == before


def test_acts_load_their_row_through_the_pages_queryset(
    elms: Furnished, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a queryset that has nothing, every act finds nothing, for asking and for doing."""

    def nothing(page: ClinicAdmin, request: HttpRequest) -> Any:
        return page.model._default_manager.none()

    monkeypatch.setattr(ClinicAdmin, "get_queryset", nothing)
    client = sign_in(elms.clinic.staff["owner"])
    for page, row in rows_with_pages(elms.rows):
        for act in acts_of(page):
            address = f"/admin/{page.opts.app_label}/{page.opts.model_name}/{row.pk}/{act}/"
            assert client.get(address).status_code == 404, address
            assert client.post(address, {"_form_submitted": "1", "reason": "x"}).status_code == 404, address


def test_acts_need_a_token(elms: Furnished) -> None:
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(elms.clinic.staff["owner"], backend="voxanne.tenancy.permissions.MembershipBackend")
    visit: Model = elms.one(Appointment)
    response = client.post(
        f"/admin/bookings/appointment/{visit.pk}/cancel/", {"_form_submitted": "1", "reason": "x"}
    )
    assert response.status_code == 403
    assert client.post("/admin/messaging/message/", {"action": "redrive_selected"}).status_code == 403


@pytest.mark.parametrize(
    ("role", "allowed"), [("owner", 200), ("manager", 200), ("receptionist", 403), ("viewer", 403)]
)
def test_dead_letters_are_for_owners_and_managers(
    role: str, allowed: int, elms: Furnished, sign_in: SignIn
) -> None:
    client = sign_in(elms.clinic.staff[role])
    message = elms.one(Message)
    for act in ("redrive", "discard"):
        assert client.get(f"/admin/messaging/message/{message.pk}/{act}/").status_code == allowed


@pytest.mark.parametrize(("role", "allowed"), [("owner", 200), ("receptionist", 200), ("viewer", 403)])
def test_visits_are_cancelled_by_all_but_viewers(
    role: str, allowed: int, elms: Furnished, sign_in: SignIn
) -> None:
    client = sign_in(elms.clinic.staff[role])
    assert (
        client.get(f"/admin/bookings/appointment/{elms.one(Appointment).pk}/cancel/").status_code == allowed
    )


def test_a_page_offers_only_acts_that_fit(elms: Furnished, sign_in: SignIn) -> None:
    client = sign_in(elms.clinic.staff["owner"])
    message = elms.one(Message)
    page = f"/admin/messaging/message/{message.pk}/change/"
    assert f"/admin/messaging/message/{message.pk}/redrive/" in client.get(page).content.decode()
    assert (
        f"/admin/messaging/message/{message.pk}/redrive/"
        in client.get("/admin/messaging/message/").content.decode()
    )
    client.post(
        f"/admin/messaging/message/{message.pk}/redrive/", {"_form_submitted": "1", "reason": "Mended."}
    )
    assert f"/admin/messaging/message/{message.pk}/redrive/" not in client.get(page).content.decode()
    assert (
        f"/admin/messaging/message/{message.pk}/redrive/"
        not in client.get("/admin/messaging/message/").content.decode()
    )


def test_a_dialog_leads_back_to_where_it_was_opened_and_nowhere_else(
    elms: Furnished, sign_in: SignIn
) -> None:
    client = sign_in(elms.clinic.staff["owner"])
    address = f"/admin/messaging/message/{elms.one(Message).pk}/redrive/"
    mended = {"_form_submitted": "1", "reason": "Mended."}
    for here, there in (
        (
            "http://testserver/admin/messaging/message/?state__exact=dead_letter#x",
            "http://testserver/admin/messaging/message/?state__exact=dead_letter",
        ),
        ("https://elsewhere.example/admin/", "/admin/messaging/message/"),
        ("", "/admin/messaging/message/"),
    ):
        response = client.post(
            address,
            {"_form_submitted": "1", "reason": "Mended."},
            headers={"HX-Request": "true", "HX-Current-URL": here},
        )
        assert response.headers["HX-Redirect"] == there
    assert client.post(address, mended).headers["Location"] == "/admin/messaging/message/"
