"""Words that must not be sent are found before anybody is texted: by the system check and the readiness report."""

from __future__ import annotations

import pytest
from django.core.checks import ERROR, WARNING, run_checks

from messaging.models import MessageTemplate
from messaging.readiness_checks import templates
from messaging.states import MessageKind
from messaging.words import template_checks
from monitoring.findings import Verdict
from tests.clinics import Clinic
from voxanne.tenancy.scope import platform_scope

pytestmark = pytest.mark.django_db

BAD = "{clinic}: reply CANCEL to cancel your visit."


def ours(databases: list[str] | None = None) -> list[tuple[int, str]]:
    found = run_checks(databases=databases)
    return [(one.level, str(one.msg)) for one in found if str(one.id).startswith("messaging.")]


def words_of(clinic: Clinic, body: str) -> None:
    with platform_scope("test data"):
        MessageTemplate.objects.create(org=clinic.org, kind=MessageKind.CANCELLED, body=body)


def test_our_own_words_pass(elm: Clinic) -> None:
    words_of(elm, "{clinic}: your visit is off.")
    assert ours(["default"]) == []
    assert templates()[0].verdict == Verdict.PASS


def test_words_of_ours_that_ask_for_a_stop_word_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_checks, "DEFAULT_TEMPLATES", {MessageKind.REMINDER: BAD})
    ((level, said),) = ours()
    assert level == ERROR
    assert "Our own reminder" in said
    assert "gets no texts" in said


def test_a_clinics_words_are_a_warning_and_named_by_the_clinic(elm: Clinic, oak: Clinic) -> None:
    words_of(elm, BAD)
    words_of(oak, "{clinic}: your visit is off.")
    assert ours() == [], "without the database only our own are looked at"
    ((level, said),) = ours(["default"])
    assert level == WARNING
    assert said.startswith("elm-street, cancelled: ")
    (finding,) = templates()
    assert finding.verdict == Verdict.WARN
    assert "elm-street" in finding.detail
    assert "oak-road" not in finding.detail
