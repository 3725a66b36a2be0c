from __future__ import annotations

import base64
from typing import Any
from uuid import UUID, uuid4

import pytest

from bookings.models import Appointment
from bookings.patient_token import TOKEN_LENGTH, claimed_visit, link_for, opens, revoke_links, token_for
from messaging.words.segments import GSM_BASIC
from tests.bookings.clinic_day import ClinicDay
from voxanne.tenancy.ids import new_id
from voxanne.tenancy.scope import org_scope

VISIT = UUID("01a2179f-4e3a-7063-b241-3d6c7d52f526")


def test_a_token_opens_its_visit_and_can_be_made_again() -> None:
    token = token_for(VISIT, 1)
    assert token == token_for(VISIT, 1)
    assert claimed_visit(token) == VISIT
    assert opens(token, VISIT, 1)


def test_a_token_is_short_and_survives_a_text_and_an_address() -> None:
    for _ in range(300):
        token = token_for(new_id(), 1)
        assert len(token) == TOKEN_LENGTH == 35
        assert set(token) <= GSM_BASIC, "it costs one septet a character"
        assert token[-1].isalnum(), "whoever makes links of what looks like one leaves out a last sign"


def test_a_link_is_our_address_and_the_token(settings: Any) -> None:
    settings.BACKEND_URL = "https://voxanne.example.com"
    assert link_for(VISIT, 1) == f"https://voxanne.example.com/a/{token_for(VISIT, 1)}"


def test_a_token_opens_no_other_visit_and_no_other_version() -> None:
    token = token_for(VISIT, 1)
    assert not opens(token, uuid4(), 1)
    assert not opens(token, VISIT, 2)
    assert not opens(token_for(VISIT, 2), VISIT, 1)


def test_no_letter_of_a_token_can_be_changed() -> None:
    token = token_for(VISIT, 1)
    for place in range(TOKEN_LENGTH):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert not opens(changed, VISIT, 1), place


def test_a_token_has_one_form_alone() -> None:
    """The last character carries four bits; the two that are left over must not make four tokens of one."""
    token = token_for(VISIT, 1)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [token[:-1] + letter for letter in letters if letter != token[-1]]
    assert not any(opens(other, VISIT, 1) for other in others)
    for odd in (
        f"{token}=",
        f" {token}",
        f"{token}\n",
        token.lower(),
        token.replace("_", "/").replace("-", "+") + ".",
    ):
        assert odd == token or not opens(odd, VISIT, 1)


@pytest.mark.parametrize(
    "text", ["", "x", "é" * 35, "A" * 34, "A" * 36, "=" * 35, "A" * 34 + "\x00", "+" * 35, "💥" * 35]
)
def test_what_is_no_token_claims_nothing(text: str) -> None:
    assert claimed_visit(text) is None
    assert not opens(text, VISIT, 1)


def test_the_seal_needs_our_key(settings: Any) -> None:
    token = token_for(VISIT, 1)
    settings.SECRET_KEY = "another secret key altogether"
    assert token_for(VISIT, 1) != token
    assert not opens(token, VISIT, 1)


def test_links_live_on_while_the_secret_key_is_being_replaced(settings: Any) -> None:
    token, old = token_for(VISIT, 1), settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the new secret key", [old]
    assert opens(token, VISIT, 1)


def test_the_id_alone_makes_no_token() -> None:
    guess = base64.urlsafe_b64encode(VISIT.bytes + bytes(10)).decode().rstrip("=")
    assert claimed_visit(guess) == VISIT
    assert not opens(guess, VISIT, 1)


@pytest.mark.django_db
def test_revoking_ends_every_link_to_the_visit(day: ClinicDay) -> None:
    booked = day.book()
    token = token_for(booked.appointment_id, 1)
    with org_scope(day.clinic.id):
        revoke_links(day.visit(booked))
        version = Appointment.objects.values_list("token_version", flat=True).get()
    assert not opens(token, booked.appointment_id, version)
    assert opens(token_for(booked.appointment_id, version), booked.appointment_id, version)
