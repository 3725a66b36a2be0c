from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bookings.models import Appointment
from messaging.models import Contact, Message, OptOut
from tests.clinics import Clinic
from tests.staff.addresses import list_addresses, pages
from tests.staff.conftest import SignIn
from tests.staff.rows import Furnished, dead_letter
from voxanne.staff.clinic_admin import ListedPage
from voxanne.staff.paging import CappedPaginator
from voxanne.tenancy.models import Membership
from voxanne.tenancy.scope import platform_scope

MESSAGES = "/admin/messaging/message/"
WHOLE = "+14155550142"
MASKED = "+1 ••• ••• 0142"


@pytest.fixture
def client(elms: Furnished, sign_in: SignIn) -> Client:
    return sign_in(elms.clinic.staff["manager"])


def written(elms: Furnished, at: datetime, **changes: Any) -> Message:
    with platform_scope("test data"):
        message = dead_letter(elms, **changes)
        Message.objects.filter(pk=message.pk).update(created_at=at)
    return message


def listed(client: Client, parameters: dict[str, str]) -> set[str]:
    page = client.get(MESSAGES, parameters).content.decode()
    return set(re.findall(r"/admin/messaging/message/([0-9a-f-]{36})/change/", page))


def test_a_day_is_whole_and_the_clinics_own(client: Client, elms: Furnished) -> None:
    """9 November in New York is 05:00 UTC on the 9th to 05:00 UTC on the 10th."""
    first = written(elms, datetime(2026, 11, 9, 5, 0, tzinfo=UTC))
    last = written(elms, datetime(2026, 11, 10, 4, 59, 59, tzinfo=UTC))
    written(elms, datetime(2026, 11, 9, 4, 59, 59, tzinfo=UTC))
    written(elms, datetime(2026, 11, 10, 5, 0, tzinfo=UTC))
    for day in ("2026-11-09", "09/11/2026"):
        found = listed(client, {"created_at_from": day, "created_at_to": day})
        assert found == {str(first.pk), str(last.pk)}, day


def test_days_are_each_clinics_own_for_somebody_at_two(
    elms: Furnished, oaks: Furnished, sign_in: SignIn
) -> None:
    with platform_scope("test data"):
        Membership.objects.create(org=oaks.clinic.org, user=elms.clinic.staff["owner"], role="owner")
    at = datetime(2026, 11, 9, 2, 0, tzinfo=UTC)
    there = written(oaks, at)
    written(elms, at)
    client = sign_in(elms.clinic.staff["owner"])
    assert listed(client, {"created_at_from": "2026-11-09", "created_at_to": "2026-11-09"}) == {str(there.pk)}


def test_a_day_that_is_none_starts_the_list_afresh(client: Client) -> None:
    for day in ("2026-02-30", "soon", "1" * 400):
        response = client.get(MESSAGES, {"created_at_from": day})
        assert response.status_code == 302
        assert client.get(response.headers["Location"]).status_code == 200


def test_messages_are_found_by_state_kind_and_error_code(client: Client, elms: Furnished) -> None:
    now = timezone.now()
    wanted = written(elms, now, state="unknown", kind="reply", error_code=30007)
    for parameters in ({"state__exact": "unknown"}, {"kind__exact": "reply"}, {"error_code": "30007"}):
        assert listed(client, parameters) == {str(wanted.pk)}, parameters
    assert listed(client, {"error_code": "30999"}) == set()
    assert client.get(MESSAGES, {"error_code": "x" * 30}).status_code == 302


def test_empty_filters_hide_nothing(client: Client, elms: Furnished) -> None:
    parameters = {"state__exact": "", "error_code": "", "created_at_from": "", "created_at_to": ""}
    assert listed(client, parameters) == listed(client, {}) != set()


def test_lists_mask_numbers_for_everybody(elms: Furnished, sign_in: SignIn) -> None:
    for role in ("owner", "viewer"):
        page = sign_in(elms.clinic.staff[role]).get(MESSAGES).content.decode()
        assert MASKED in page
        assert WHOLE not in page


@pytest.mark.parametrize(("role", "shown"), [("owner", True), ("receptionist", True), ("viewer", False)])
def test_pages_show_the_whole_number_to_who_keeps_contacts(
    role: str, shown: bool, elms: Furnished, sign_in: SignIn
) -> None:
    client = sign_in(elms.clinic.staff[role])
    assert (WHOLE in client.get(f"{MESSAGES}{elms.one(Message).pk}/change/").content.decode()) is shown
    contact = elms.one(Contact)
    rows = (contact, elms.one(OptOut), elms.one(Appointment))
    for row in rows:
        page = client.get(
            f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/"
        ).content.decode()
        assert (contact.phone in page) is shown, row


def test_no_list_counts_a_whole_table(
    client: Client, elms: Furnished, sign_in: SignIn, operator: Any
) -> None:
    for browser in (client, sign_in(operator)):
        for page in pages():
            for address in list_addresses(page)[:1]:
                with CaptureQueriesContext(
                    connection,
                ) as queries:
                    browser.get(address)
                    browser.get(address, {"_facets": "True", "q": "a"})
                for query in queries.captured_queries:
                    counts = re.search(r"select count\(", query["sql"], re.IGNORECASE)
                    assert not counts or "LIMIT" in query["sql"], query["sql"]


def test_every_page_has_short_lists_and_no_date_hierarchy() -> None:
    for page in pages():
        assert isinstance(page, ListedPage)
        assert page.list_per_page == 25
        assert page.date_hierarchy is None
        assert not page.show_full_result_count


def test_more_rows_cost_no_more_queries(client: Client, elms: Furnished) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(MESSAGES)
        return len(captured)

    queries()
    few = queries()
    for _ in range(15):
        written(elms, timezone.now())
    assert queries() == few


def test_a_long_list_is_counted_no_further_than_its_cap(
    client: Client, elms: Furnished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxanne.staff.paging.COUNTED_UP_TO", 3)
    for _ in range(4):
        written(elms, timezone.now())
    page = client.get(MESSAGES).content.decode()
    assert "The first 3; filter to see others" in page


def test_the_cap_holds_for_any_sequence() -> None:
    assert CappedPaginator(range(10), 5).count == 10


def test_clinics_are_named_only_to_those_who_see_several(
    client: Client, elms: Furnished, oaks: Furnished, sign_in: SignIn, operator: Any
) -> None:
    assert "column-org" not in client.get(MESSAGES).content.decode()
    page = sign_in(operator).get(MESSAGES).content.decode()
    assert "column-org" in page
    assert oaks.mark in page


def test_times_are_told_on_the_clinics_clock(
    elms: Furnished, oak: Clinic, sign_in: SignIn, operator: Any
) -> None:
    written(elms, datetime(2026, 7, 1, 12, 0, tzinfo=UTC))
    for browser in (sign_in(elms.clinic.staff["viewer"]), sign_in(operator)):
        assert "Wed 1 Jul 2026, 08:00" in browser.get(MESSAGES).content.decode()


def test_ages_are_told_in_the_largest_unit() -> None:
    from voxanne.staff.columns import short_span

    spans = {
        timedelta(seconds=40): "40 s",
        timedelta(minutes=3): "3 min",
        timedelta(hours=5): "5 h",
        timedelta(days=12): "12 d",
        timedelta(seconds=-5): "0 s",
    }
    assert {span: short_span(span) for span in spans} == spans
