from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.words.segments import GSM_BASIC, GSM_EXTENSION, Encoding, Segments, measure, plain

GSM = Encoding.GSM_7
UCS = Encoding.UCS_2


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", Segments(GSM, 0, 1)),
        ("a", Segments(GSM, 1, 1)),
        ("a" * 160, Segments(GSM, 160, 1)),
        ("a" * 161, Segments(GSM, 161, 2)),
        ("a" * 306, Segments(GSM, 306, 2)),
        ("a" * 307, Segments(GSM, 307, 3)),
        ("a" * 1600, Segments(GSM, 1600, 11)),
        ("€" * 80, Segments(GSM, 160, 1)),
        ("€" * 81, Segments(GSM, 162, 2)),
        ("ñ" * 160, Segments(GSM, 160, 1)),
        ("é" * 160, Segments(GSM, 160, 1)),
        ("ç" * 70, Segments(UCS, 70, 1)),  # small c with cedilla is not in the table, the capital is
        ("Ç" * 160, Segments(GSM, 160, 1)),
        ("й" * 70, Segments(UCS, 70, 1)),
        ("й" * 71, Segments(UCS, 71, 2)),
        ("й" * 134, Segments(UCS, 134, 2)),
        ("й" * 135, Segments(UCS, 135, 3)),
        ("й" * 1600, Segments(UCS, 1600, 24)),
        ("😀", Segments(UCS, 2, 1)),
        ("😀" * 35, Segments(UCS, 70, 1)),
        ("a" * 69 + "😀", Segments(UCS, 71, 2)),
        ("[ok]", Segments(GSM, 6, 1)),
        ("line\r\nbreak", Segments(GSM, 11, 1)),
        ("form\ffeed", Segments(GSM, 10, 1)),
        ("a\tb", Segments(UCS, 3, 1)),
        ("`", Segments(UCS, 1, 1)),
    ],
)
def test_a_body_has_its_alphabet_units_and_segments(body: str, expected: Segments) -> None:
    assert measure(body) == expected


def test_an_escaped_character_is_not_cut_between_two_segments() -> None:
    # 305 + 2 septets would just pass 2 x 153 only if the euro sign were cut at septet 153.
    assert measure("a" * 152 + "€" + "a" * 152) == Segments(GSM, 306, 3)
    assert measure("a" * 151 + "€" + "a" * 153) == Segments(GSM, 306, 2)


def test_a_surrogate_pair_is_not_cut_between_two_segments() -> None:
    assert measure("й" * 66 + "😀" + "й" * 66) == Segments(UCS, 134, 3)
    assert measure("й" * 65 + "😀" + "й" * 67) == Segments(UCS, 134, 2)


def test_the_tables_have_the_size_the_standard_gives_them() -> None:
    assert len(GSM_BASIC) == 127
    assert len(GSM_EXTENSION) == 10
    assert not GSM_BASIC & GSM_EXTENSION


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("We’ll see you – “Dr. Lee”…", 'We\'ll see you - "Dr. Lee"...'),
        ("10:30\u202fAM", "10:30 AM"),
        ("Tue\u00a024\u00a0Nov", "Tue 24 Nov"),
        ("zero\u200e width\ufeff", "zero width"),
        ("soft\u00adhyphen", "softhyphen"),
        ("call \u202a+1 415 555 0142\u202c\u200b", "call +1 415 555 0142"),
        ("a\tb", "a b"),
        ("one\u2028two", "one\ntwo"),
        ("• first", "* first"),
        ("plain text", "plain text"),
    ],
)
def test_typography_becomes_plain_and_fits_the_gsm_alphabet(typed: str, sent: str) -> None:
    assert plain(typed) == sent
    assert measure(plain(typed)).encoding is GSM


@pytest.mark.parametrize(
    "name", ["Nuñez", "Łukasz", "Zoë", "Siân", "Þóra", "Ольга", "李", "O'Neil", "François", "😀"]
)
def test_names_keep_their_letters(name: str) -> None:
    assert plain(name) == name


@pytest.mark.parametrize("body", ["Łukasz – 10:30", "«Ольга»…", "שלום\u200f 10:30", "Kaʻahumanu’s"])
def test_a_text_that_needs_the_wide_alphabet_anyway_stays_as_written(body: str) -> None:
    assert plain(body) == body


def test_a_family_emoji_is_not_broken_up() -> None:
    assert plain("👩\u200d👧") == "👩\u200d👧"


@given(st.text())
def test_making_plain_changes_no_letter_and_is_done_once(body: str) -> None:
    made = plain(body)
    assert plain(made) == made

    def letters(text: str) -> list[str]:
        return [char for char in text if unicodedata.category(char) in ("Lu", "Ll", "Lo", "Lt", "Mn", "Nd")]

    if not set(body) & set("ﬁﬂ×©®™№½¼¾"):
        assert letters(made) == letters(body)


@given(st.text(max_size=700))
def test_segments_hold_all_units_and_none_is_empty(body: str) -> None:
    measured = measure(body)
    alone, part = (160, 153) if measured.encoding is GSM else (70, 67)
    assert measured.units >= len(body)
    if measured.segments == 1:
        assert measured.units <= alone
    else:
        assert measured.units > alone
        assert measured.segments * part >= measured.units
        # At most one unit of each full segment is left unused.
        assert (measured.segments - 1) * (part - 1) < measured.units


@given(st.text(alphabet=sorted(GSM_BASIC | GSM_EXTENSION), max_size=400))
def test_text_in_the_gsm_alphabet_never_costs_the_double(body: str) -> None:
    assert measure(body).encoding is GSM
