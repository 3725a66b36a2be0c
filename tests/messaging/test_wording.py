"""What a text says: the clinic's own words where they can be sent, else ours; never more than it should."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from bookings.spoken import spoken_time, written_date
from messaging.inbound import Received, keyword_of
from messaging.manners.keywords import STOP_WORDS
from messaging.models import MessageTemplate
from messaging.states import MessageKind
from messaging.words.segments import measure, plain
from messaging.words.wording import DEFAULT_TEMPLATES, FIELDS, UnknownField, check_template, words_for
from tests.clinics import Clinic
from voxanne.tenancy.models import Organization
from voxanne.tenancy.plan_cache import ClinicKey
from voxanne.tenancy.scope import org_scope

LONGEST_DATE = written_date(date(2026, 9, 30))
LONGEST_TIME = spoken_time(datetime(2026, 9, 30, 4, tzinfo=UTC), ZoneInfo("America/New_York"), "US")
# As long as our own address may well be: https, a name of thirty characters, and the token.
LINK = "https://appointments.elm-street.example/a/" + "x" * 35
WITH_LINK = {MessageKind.CONFIRMATION, MessageKind.RESCHEDULED}
DEFAULTS = pytest.mark.parametrize("kind", list(DEFAULT_TEMPLATES))


def filled(template: str, clinic: str) -> str:
    values = {"clinic": clinic, "date": LONGEST_DATE, "time": LONGEST_TIME, "code": "KTMBRX", "link": LINK}
    return template.format_map({**dict.fromkeys(FIELDS, ""), **values})


# Our own words


@DEFAULTS
def test_our_own_words_can_be_sent(kind: MessageKind) -> None:
    check_template(DEFAULT_TEMPLATES[kind])


@DEFAULTS
def test_our_own_words_name_the_clinic_and_a_way_out(kind: MessageKind) -> None:
    said = filled(DEFAULT_TEMPLATES[kind], "Elm Street Clinic")
    assert said.startswith("Elm Street Clinic: ")
    assert said.endswith("Reply STOP to opt out.")


@pytest.mark.parametrize("kind", sorted(WITH_LINK))
def test_the_link_stands_apart_so_that_a_telephone_makes_it_one(kind: MessageKind) -> None:
    assert f" {LINK} Reply" in filled(DEFAULT_TEMPLATES[kind], "Elm Street Clinic")


@DEFAULTS
def test_our_own_words_take_two_segments_at_most_with_the_longest_name(kind: MessageKind) -> None:
    longest = Organization._meta.get_field("name").max_length
    assert longest is not None
    said = plain(filled(DEFAULT_TEMPLATES[kind], "N" * longest))
    assert measure(said).segments <= 2
    usual = measure(plain(filled(DEFAULT_TEMPLATES[kind], "Elm Street Clinic"))).segments
    assert usual == (2 if kind in WITH_LINK else 1)


def test_no_text_can_name_the_service_or_the_person() -> None:
    assert {"clinic", "date", "time", "code", "link"} == FIELDS
    for field in ("service", "name", "patient", "provider", "reason"):
        with pytest.raises(UnknownField):
            check_template(f"You are booked for {{{field}}}.")


# A clinic's words


@pytest.mark.parametrize(
    "template",
    [
        "{clinic}: {date}, {time}. {code} {link}",
        "No field at all.",
        "Braces {{like these}} are text.",
        "Reply STOP to opt out.",
        "Reply STOP to cancel these texts.",
        "To cancel, call us. We end at six and never quit.",
        "Reply C to change or cancel your visit.",
        "Reply here or cancel at the link.",
        "Text STOP to end messages. Call us to cancel or move your visit.",
        "Reply STOP if you want no reminders.",
        "Reply STOP to opt out of texts about changes to your visit.",
    ],
)
def test_words_that_can_be_sent_are_taken(template: str) -> None:
    check_template(template)


@pytest.mark.parametrize("template", ["{nobody}", "{}", "{0}", "{clinic.pk}", "{clinic[0]}", "{ clinic }"])
def test_a_field_that_nobody_fills_in_is_refused_by_name(template: str) -> None:
    with pytest.raises(UnknownField, match="is not filled in; use clinic, code, date, link, time"):
        check_template(template)


@pytest.mark.parametrize(
    "template", ["{clinic", "clinic}", "{clinic!r}", "{clinic:>999999999}", "{date:{time}}", "x" * 1201]
)
def test_words_that_cannot_be_filled_in_are_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_template(template)


@pytest.mark.parametrize("word", sorted(STOP_WORDS - {"STOP"}))
@pytest.mark.parametrize(
    "invitation",
    ["Reply {0} to change your visit.", 'Text "{0}" to us.', "reply with {1} to call it off", "YES or {0}?"],
)
def test_nobody_is_invited_to_opt_out_by_mistake(word: str, invitation: str) -> None:
    """Whoever answers with the word alone would get no texts any more."""
    assert keyword_of(Received("SM1", "+1", "+2", word)) == "STOP"
    with pytest.raises(ValueError, match="gets no texts"):
        check_template(invitation.format(word, word.lower()))


@pytest.mark.parametrize(
    "template",
    [
        "Reply yes to confirm or cancel to call it off.",
        "Answer with the word cancel.",
        "Reply STOP to cancel your visit.",
        "Reply yes to confirm, stop to reschedule.",
        "Text stop if you want to change your appointment.",
        "Reply STOP if you cannot come.",
        "type “quit” to leave",
    ],
)
def test_nor_in_other_words(template: str) -> None:
    with pytest.raises(ValueError, match="gets no texts"):
        check_template(template)


# Which words are used


def said(clinic: Clinic, kind: MessageKind = MessageKind.CANCELLED) -> str:
    with org_scope(clinic.id):
        version = Organization.objects.values_list("plan_version", flat=True).get(pk=clinic.id)
        return words_for(
            ClinicKey(clinic.id, version), kind, {"clinic": "Elm", "date": "Monday", "time": "9:00"}
        )


def own_words(clinic: Clinic, body: str) -> None:
    with org_scope(clinic.id):
        MessageTemplate.objects.create(org=clinic.org, kind=MessageKind.CANCELLED, body=body)


@pytest.mark.django_db
def test_a_clinics_own_words_are_used_for_that_kind_alone(elm: Clinic, oak: Clinic) -> None:
    own_words(elm, "{clinic}: no visit on {date}.{code}{link}")
    assert said(elm) == "Elm: no visit on Monday."
    assert said(elm, MessageKind.CONFIRMATION).startswith("Elm: you are booked for Monday at 9:00")
    assert said(oak).startswith("Elm: your visit on Monday at 9:00 is cancelled.")


@pytest.mark.django_db
@pytest.mark.parametrize("body", ["", "   ", "{nobody}", "{clinic", "Reply CANCEL to cancel."])
def test_words_that_slipped_past_their_form_are_not_used(elm: Clinic, body: str) -> None:
    own_words(elm, body)
    assert said(elm).startswith("Elm: your visit on Monday at 9:00 is cancelled.")


@pytest.mark.django_db
def test_what_is_filled_in_is_text_and_nothing_more(elm: Clinic) -> None:
    own_words(elm, "{clinic} {date}")
    with org_scope(elm.id):
        key = ClinicKey(elm.id, hash(uuid4()))
        filled_in = words_for(key, MessageKind.CANCELLED, {"clinic": "{date} {0} %s", "date": "Monday"})
    assert filled_in == "{date} {0} %s Monday"
