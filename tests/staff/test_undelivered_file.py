"""The file of undelivered texts: what it holds, for whom, and what the trail says of it."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from messaging.admin.export import harmless
from messaging.models import Contact, Message
from messaging.providers.twilio.codes import spoken_reason
from tests.staff.conftest import SignIn
from tests.staff.rows import Furnished
from tests.staff.test_dead_letters import more, trail
from tests.staff.test_undelivered import EXPORT, client
from voxanne.tenancy.models import Membership, Organization, User
from voxanne.tenancy.scope import platform_scope

__all__ = ["client"]


def rows_of(answer: Any) -> list[dict[str, str]]:
    text = answer.getvalue().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_the_file_holds_what_the_filters_leave_masked(client: Client, elms: Furnished) -> None:
    (other,) = more(elms, 1, error_code=21614, last_error=spoken_reason(21614), recipient="+14155550199")
    answer = client.get(EXPORT, {"why": "21614"})
    assert answer.streaming
    assert 'attachment; filename="undelivered-texts-' in answer.headers["Content-Disposition"]
    (row,) = rows_of(answer)
    assert (row["Text"], row["To"], row["Code"], row["Reason"], row["Sending again"]) == (
        str(other.pk), "•••0199", "21614", spoken_reason(21614), "Will not help",
    )  # fmt: skip
    whole = client.get(EXPORT).getvalue().decode()
    assert "4155550199" not in whole
    assert elms.one(Contact).phone[2:] not in whole


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+14155550142",
        "-2",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =cmd|' /C calc'!A0",
        "=HYPERLINK(1)",
    ],
)
def test_no_cell_is_a_formula(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "Elm Street", "•••0142", "2026-11-26 10:00-05:00", "a=b"])
def test_other_cells_are_left_as_they_are(cell: str) -> None:
    assert harmless(cell) == cell


def test_a_clinic_named_like_a_formula_runs_in_no_spreadsheet(client: Client, elms: Furnished) -> None:
    with platform_scope("test data"):
        Organization.objects.filter(pk=elms.clinic.id).update(name="=cmd|' /C calc'!A0")
        Message.objects.update(last_error="@SUM(A1)")
    (row,) = rows_of(client.get(EXPORT))
    assert (row["Clinic"], row["Reason"]) == ("'=cmd|' /C calc'!A0", "'@SUM(A1)")


def test_a_long_file_is_read_in_pieces(
    client: Client, elms: Furnished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("messaging.admin.export.ROWS_AT_A_TIME", 3)
    more(elms, 7)
    answer = client.get(EXPORT)
    with CaptureQueriesContext(connection) as asked:
        rows = rows_of(answer)
    assert len({row["Text"] for row in rows}) == 8
    assert sum('FROM "sms_delivery_log"' in query["sql"] for query in asked.captured_queries) == 3


def test_the_file_knows_only_ones_own_clinic(elms: Furnished, oaks: Furnished, sign_in: SignIn) -> None:
    rows = rows_of(sign_in(elms.clinic.staff["manager"]).get(EXPORT))
    assert {row["Clinic"] for row in rows} == {elms.mark}


def test_the_file_knows_only_the_clinics_where_one_may_take_it(
    elms: Furnished, oaks: Furnished, sign_in: SignIn
) -> None:
    person = elms.clinic.staff["owner"]
    with platform_scope("test data"):
        Membership.objects.create(org=oaks.clinic.org, user=person, role="viewer")
    rows = rows_of(sign_in(person).get(EXPORT))
    assert {row["Clinic"] for row in rows} == {elms.mark}
    assert [line.org_id for line in trail("messages.export")] == [elms.clinic.id]


def test_who_took_how_many_by_which_filters_is_in_each_clinics_trail(
    elms: Furnished, oaks: Furnished, operator: User, sign_in: SignIn
) -> None:
    more(elms, 2, error_code=21614)
    more(oaks, 1, error_code=21614)
    sign_in(operator).get(EXPORT, {"why": "21614"})
    lines = trail("messages.export")
    assert {line.actor for line in lines} == {operator}
    assert {line.org_id: line.reason for line in lines} == {
        elms.clinic.id: "2 undelivered texts. Filters: why=21614.",
        oaks.clinic.id: "1 undelivered texts. Filters: why=21614.",
    }


def test_what_was_searched_for_is_not_in_the_trail(client: Client, elms: Furnished) -> None:
    client.get(EXPORT, {"q": elms.one(Message).recipient})
    assert [line.reason for line in trail("messages.export")] == ["1 undelivered texts. Filters: a search."]


def test_an_operators_file_holds_every_clinic(
    elms: Furnished, oaks: Furnished, operator: User, sign_in: SignIn
) -> None:
    assert {row["Clinic"] for row in rows_of(sign_in(operator).get(EXPORT))} == {elms.mark, oaks.mark}
