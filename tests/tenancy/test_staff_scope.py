"""Staff pages see the signed-in person's clinics, rendering included, and a failed one leaves nothing behind."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from messaging.models import Contact
from tests.clinics import Clinic
from tests.tenancy.probe_urls import PHONE
from voxanne.tenancy.models import Membership, Role, User
from voxanne.tenancy.scope import ScopeError, current_scope, org_scope, platform_scope

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.tenancy.probe_urls")]

OURS, THEIRS = "+14155550121", "+442071838750"


@pytest.fixture
def contacts(elm: Clinic, oak: Clinic) -> None:
    with platform_scope("test data"):
        Contact.objects.create(org=elm.org, phone=OURS)
        Contact.objects.create(org=oak.org, phone=THEIRS)


def signed_in(user: User, *, raises: bool = True) -> Client:
    client = Client(raise_request_exception=raises)
    client.force_login(user, backend="voxanne.tenancy.permissions.MembershipBackend")
    return client


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.usefixtures("contacts")
def test_staff_of_every_role_see_their_clinics_rows_alone(elm: Clinic, role: Role) -> None:
    assert signed_in(elm.staff[role]).get("/admin/phones").json() == {"phones": [OURS]}


@pytest.mark.usefixtures("contacts")
def test_someone_who_works_at_two_clinics_sees_both(elm: Clinic, oak: Clinic) -> None:
    with platform_scope("test data"):
        Membership.objects.create(org=oak.org, user=elm.staff["viewer"])
    assert signed_in(elm.staff["viewer"]).get("/admin/phones").json() == {"phones": [OURS, THEIRS]}


@pytest.mark.usefixtures("contacts")
def test_someone_who_works_nowhere_sees_nothing() -> None:
    stranger = User.objects.create_user("stranger", is_staff=True)
    assert signed_in(stranger).get("/admin/phones").json() == {"phones": []}


@pytest.mark.usefixtures("contacts")
def test_a_platform_operator_sees_every_clinic() -> None:
    operator = User.objects.create_superuser("operator")
    assert signed_in(operator).get("/admin/phones").json() == {"phones": [OURS, THEIRS]}


@pytest.mark.usefixtures("contacts")
def test_someone_who_was_let_go_sees_nothing_from_the_next_page_on(elm: Clinic) -> None:
    client = signed_in(elm.staff["manager"])
    assert client.get("/admin/phones").json() == {"phones": [OURS]}
    with org_scope(elm.id):
        Membership.objects.filter(user=elm.staff["manager"]).delete()
    assert client.get("/admin/phones").json() == {"phones": []}


@pytest.mark.usefixtures("contacts")
def test_a_template_rendered_after_the_view_is_still_inside_the_scope(elm: Clinic) -> None:
    assert signed_in(elm.staff["viewer"]).get("/admin/lazily").content.decode() == f"{OURS};"


def test_without_signing_in_there_is_no_scope(elm: Clinic) -> None:
    with pytest.raises(ScopeError):
        Client().get("/admin/phones")


def test_pages_that_are_not_the_staffs_have_no_scope(elm: Clinic) -> None:
    assert signed_in(elm.staff["owner"]).get("/elsewhere").json() == {"scope": False}


def phones_kept(clinic: Clinic) -> list[str]:
    with org_scope(clinic.id):
        return [str(phone) for phone in Contact.objects.values_list("phone", flat=True)]


@pytest.mark.parametrize(
    ("status", "kept"), [(200, [PHONE]), (302, [PHONE]), (422, [PHONE]), (500, []), (503, [])]
)
def test_an_answer_of_500_takes_everything_back(elm: Clinic, status: int, kept: list[str]) -> None:
    assert signed_in(elm.staff["owner"]).get(f"/admin/adding/{status}").status_code == status
    assert phones_kept(elm) == kept
    assert current_scope() is None


@pytest.mark.django_db(transaction=True)
def test_a_page_that_raises_takes_everything_back_and_says_500(elm: Clinic) -> None:
    client = signed_in(elm.staff["owner"], raises=False)
    assert client.get("/admin/breaking").status_code == 500
    assert phones_kept(elm) == []
    assert client.get("/admin/adding/200").status_code == 200
    assert phones_kept(elm) == [PHONE]


def test_a_signed_out_persons_session_opens_no_scope(elm: Clinic) -> None:
    client = signed_in(elm.staff["owner"])
    User.objects.filter(pk=elm.staff["owner"].pk).update(is_active=False, last_login=timezone.now())
    with pytest.raises(ScopeError):
        client.get("/admin/phones")
