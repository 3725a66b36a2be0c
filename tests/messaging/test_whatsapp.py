"""Who gets a text by WhatsApp, and in which words: free ones within the window, a template's at other times."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from messaging.manners import consent
from messaging.models import SenderAccount, WhatsAppTemplate
from messaging.sending.circuit import service_of
from messaging.states import MessageState
from messaging.words.whatsapp_words import STANDING, Template, check_template, filled
from monitoring.breaker import Service
from tests.messaging.desk import PATIENT, Desk, later
from tests.messaging.whatsapp import (
    NUMBER,
    OURS,
    TEMPLATE,
    THEIRS,
    VALUES,
    approve,
    channels,
    is_by,
    prefers,
    sent_forms,
    switch_on,
    wrote,
)
from voxanne.statements import Statement
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db


def opt_out(desk: Desk, sender: str) -> None:
    with org_scope(desk.clinic.id):
        consent.record(desk.clinic.id, sender=sender, recipient=PATIENT, opted_out=True, source="keyword")


# Which channel


def test_a_clinic_that_did_not_switch_it_on_sends_texts(desk: Desk) -> None:
    prefers(desk)
    approve(desk)
    wrote(desk)
    message = desk.write(template_values=VALUES)
    assert (is_by(message), message.sender) == ("sms", desk.clinic.number)
    assert message.template_values is None
    assert message.segments == 1


def test_who_takes_whatsapp_and_can_be_written_to_gets_it_there(desk: Desk) -> None:
    switch_on(desk)
    prefers(desk)
    wrote(desk)
    message = desk.write()
    assert (is_by(message), message.sender, message.recipient) == ("whatsapp", OURS, PATIENT)
    assert message.segments == 0, "nobody counts segments there"
    assert service_of(message) is Service.TWILIO_WHATSAPP


@pytest.mark.parametrize("channel", ["", "sms"])
def test_who_did_not_choose_whatsapp_gets_a_text(desk: Desk, channel: str) -> None:
    switch_on(desk)
    prefers(desk, channel)
    wrote(desk)
    message = desk.write()
    assert is_by(message) == "sms"
    assert service_of(message) is Service.TWILIO_SMS


def test_without_words_for_it_a_text_goes_out(desk: Desk) -> None:
    switch_on(desk)
    prefers(desk)
    approve(desk, "reminder")
    assert is_by(desk.write(template_values=VALUES)) == "sms", "no template of this kind"
    approve(desk, "confirmation")
    assert is_by(desk.write()) == "sms", "nothing to fill one with"
    assert is_by(desk.write(template_values=VALUES)) == "whatsapp"


def test_the_window_counts_from_the_last_text_by_whatsapp_to_this_number(desk: Desk) -> None:
    switch_on(desk)
    prefers(desk)
    now = timezone.now()
    wrote(desk, now - timedelta(hours=24))
    wrote(desk, now, channel="sms")
    wrote(desk, now, recipient="+14155569901")
    wrote(desk, now, sender="+14155550177")
    assert is_by(desk.write()) == "sms"
    wrote(desk, now - timedelta(hours=23))
    assert is_by(desk.write()) == "whatsapp"


def test_a_stop_on_one_channel_leaves_the_other(desk: Desk) -> None:
    switch_on(desk)
    prefers(desk)
    wrote(desk)
    opt_out(desk, desk.clinic.number)
    by_whatsapp = desk.write()
    assert (is_by(by_whatsapp), by_whatsapp.state) == ("whatsapp", MessageState.QUEUED)
    opt_out(desk, OURS)
    by_text = desk.write()
    assert (is_by(by_text), by_text.state) == ("sms", MessageState.SUPPRESSED)


def test_who_stops_whatsapp_while_a_text_waits_for_it_does_not_get_it(desk: Desk) -> None:
    switch_on(desk)
    prefers(desk)
    wrote(desk)
    message = desk.write()
    opt_out(desk, OURS)
    desk.send(message)
    assert desk.now(message).state == MessageState.SUPPRESSED
    assert sent_forms(desk) == []


def test_one_clinics_whatsapp_is_not_anothers(desk: Desk, oak: Any) -> None:
    switch_on(desk)
    prefers(desk)
    wrote(desk)
    assert is_by(Desk(oak, desk.sandbox, desk.gate_port).write()) == "sms"


def test_a_text_costs_no_statement_more_for_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for name in ("row", "rows", "run"):
        monkeypatch.setattr(Statement, name, counting(getattr(Statement, name), asked))

    def statements() -> list[str]:
        asked.clear()
        desk.send(desk.write(template_values=VALUES))
        return list(asked)

    by_text = statements()
    switch_on(desk)
    still_by_text = statements()
    prefers(desk)
    wrote(desk)
    by_whatsapp = statements()
    assert by_text == still_by_text
    assert [one for one in by_whatsapp if one not in by_text] == [STANDING.sql]


def counting(kept: Any, asked: list[str]) -> Any:
    def counted(statement: Statement, values: Any = ()) -> Any:
        asked.append(statement.sql)
        return kept(statement, values)

    return counted


# In which words


def test_free_words_go_out_within_the_window(desk: Desk) -> None:
    switch_on(desk)
    prefers(desk)
    approve(desk)
    wrote(desk)
    message = desk.write(template_values=VALUES)
    desk.send(message)
    (form,) = sent_forms(desk)
    assert (form["From"], form["To"], form["Body"]) == (OURS, THEIRS, message.body)
    assert "ContentSid" not in form
    assert desk.now(message).state == MessageState.SENT
    assert channels(desk, message) == ["whatsapp"]


def test_a_template_goes_out_at_other_times(desk: Desk) -> None:
    switch_on(desk)
    prefers(desk)
    approve(desk, "confirmation", "clinic", "date", "time")
    message = desk.write(template_values=VALUES)
    desk.send(message)
    (form,) = sent_forms(desk)
    assert (form["From"], form["To"], form["ContentSid"]) == (OURS, THEIRS, TEMPLATE)
    assert json.loads(form["ContentVariables"]) == {"1": "Elm", "2": "Monday", "3": "9 AM"}
    assert "Body" not in form
    assert desk.now(message).state == MessageState.SENT


def test_the_window_may_close_while_a_text_waits(desk: Desk) -> None:
    switch_on(desk)
    prefers(desk)
    approve(desk)
    wrote(desk, timezone.now() - timedelta(hours=23))
    message = desk.write(template_values=VALUES, expires_at=timezone.now() + timedelta(days=3))
    with later(2 * 3600):
        desk.send(message)
    assert sent_forms(desk)[0]["ContentSid"] == TEMPLATE


def test_a_text_whose_words_went_away_while_it_waited_goes_by_text(desk: Desk) -> None:
    switch_on(desk)
    prefers(desk)
    wrote(desk, timezone.now() - timedelta(hours=23))
    message = desk.write(expires_at=timezone.now() + timedelta(days=3))
    with later(2 * 3600):
        desk.send(message)
        waiting = desk.now(message)
        assert (is_by(waiting), waiting.sender, waiting.state) == (
            "sms",
            desk.clinic.number,
            MessageState.QUEUED,
        )
        assert (waiting.segments, waiting.first_attempted_at) == (1, None)
        desk.send(message)
    assert [(form["From"], form["To"]) for form in sent_forms(desk)] == [(desk.clinic.number, PATIENT)]
    assert desk.phone() == [message.body]
    assert channels(desk, message) == ["sms"], "the try that was not made left no row"


@pytest.mark.parametrize("how", ["switched off", "paused", "another number"])
def test_a_text_waits_for_no_whatsapp_that_is_gone(desk: Desk, how: str) -> None:
    switch_on(desk)
    prefers(desk)
    wrote(desk)
    message = desk.write()
    changes: dict[str, dict[str, Any]] = {
        "switched off": {"whatsapp_on": False},
        "paused": {"whatsapp_paused_reason": "Gone."},
        "another number": {"whatsapp_number": "+14155569902"},
    }
    switch_on(desk, **changes[how])
    desk.send(message)
    desk.send(message)
    assert [form["To"] for form in sent_forms(desk)] == [PATIENT]


def test_a_changed_template_counts_from_the_next_text_on(desk: Desk) -> None:
    switch_on(desk)
    prefers(desk)
    approve(desk)
    desk.send(desk.write(template_values=VALUES))
    with org_scope(desk.clinic.id):
        template = WhatsAppTemplate.objects.get()
        template.content_sid = "HX" + "d" * 32
        template.save()
    desk.send(desk.write(template_values=VALUES))
    assert [form["ContentSid"] for form in sent_forms(desk)] == [TEMPLATE, "HX" + "d" * 32]


def test_a_place_is_never_left_empty_and_holds_no_line_break() -> None:
    template = Template(TEMPLATE, ("clinic", "time"))
    assert filled(template, {"clinic": "Elm"}) is None
    assert filled(template, {"clinic": " ", "time": "9"}) is None
    content = filled(template, {"clinic": "Elm\nStreet      Clinic", "time": "9 “AM”"})
    assert content is not None
    assert json.loads(content.variables) == {"1": "Elm Street Clinic", "2": "9 “AM”"}
    bare = filled(Template(TEMPLATE, ()), {})
    assert bare is not None
    assert bare.variables == ""


@pytest.mark.parametrize(
    ("kind", "sid", "variables"),
    [
        ("confirmation", "HX1", ["clinic"]),
        ("confirmation", "SM" + "a" * 32, ["clinic"]),
        ("confirmation", TEMPLATE, ["name"]),
        ("missed_call", TEMPLATE, ["clinic", "time"]),
        ("reply", TEMPLATE, ["clinic"]),
    ],
)
def test_a_template_that_would_be_refused_is_refused_by_us(kind: str, sid: str, variables: list[str]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_template(kind, sid, variables)


def test_a_template_that_fits_is_taken() -> None:
    check_template("confirmation", TEMPLATE, ["clinic", "date", "time", "code", "link", "clinic"])
    check_template("missed_call", TEMPLATE, ["clinic"])


# Whose number it is


def test_a_whatsapp_number_is_one_clinics(desk: Desk, oak: Any) -> None:
    switch_on(desk)
    with pytest.raises(IntegrityError), transaction.atomic(), org_scope(oak.id):
        SenderAccount.objects.update(whatsapp_number=NUMBER)
    with pytest.raises(IntegrityError), transaction.atomic(), org_scope(oak.id):
        SenderAccount.objects.update(whatsapp_number="", whatsapp_on=True)
