from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.phone_numbers import InvalidPhoneNumber, is_mobile_possible, is_withheld, mask, normalise

WRITTEN_IN_MANY_WAYS = [
    ("+14155550142", "US"),
    ("4155550142", "US"),
    ("14155550142", "US"),
    ("(415) 555-0142", "US"),
    ("415.555.0142", "US"),
    ("415 555 01 42", "US"),
    ("415–555—0142", "US"),
    ("415\u00a0555\u00a00142", "US"),
    ("\u202a+1 415 555 0142\u202c", "US"),
    (" +1 (415) 555 0142 ", "GB"),
    ("0014155550142", "US"),
    ("00 1 415 555 0142", "GB"),
    ("0011 1 415 555 0142", "AU"),
    ("tel:+1-415-555-0142", "US"),
    ("415 555 0142 ext. 12", "US"),
    ("4155550142 x12", "US"),
    ("٤١٥٥٥٥٠١٤٢", "US"),
    ("+14155550142", "us"),
]


@pytest.mark.parametrize(("raw", "country"), WRITTEN_IN_MANY_WAYS)
def test_one_number_has_one_written_form(raw: str, country: str) -> None:
    assert normalise(raw, country) == "+14155550142"


@pytest.mark.parametrize(
    ("raw", "country", "expected"),
    [
        ("020 7946 0018", "GB", "+442079460018"),
        ("+44 (0)20 7946 0018", "US", "+442079460018"),
        ("0044 20 7946 0018", "US", "+442079460018"),
        ("030/1234567", "DE", "+49301234567"),
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("(02) 9876 5432", "AU", "+61298765432"),
        ("604 555 0142", "CA", "+16045550142"),
    ],
)
def test_a_number_without_country_code_is_read_in_the_clinics_country(
    raw: str, country: str, expected: str
) -> None:
    assert normalise(raw, country) == expected


@pytest.mark.parametrize("last_two", range(100))
def test_the_whole_fictional_range_of_the_demo_is_accepted(last_two: int) -> None:
    number = f"+141555501{last_two:02d}"
    assert normalise(number, "US") == number
    assert is_mobile_possible(number)


@pytest.mark.parametrize("number", ["+447700900123", "+15551234567", "+15005550006"])
def test_other_numbers_of_fiction_and_tests_are_accepted(number: str) -> None:
    assert normalise(number, "US") == number


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "   ",
        "+",
        "()",
        "hello",
        "five five five",
        "555-0142",
        "911",
        "12345",
        "0000000000",
        "1234567890",
        "+1 123 456 7890",
        "+999 12345678",
        "415 555 01423",
        "4155550142 4155550143",
        "4155550142, 4155550143",
        "1-800-FLOWERS",
        "my number is 4155550142",
        "4155550142; DROP TABLE contacts",
        "dana@example.com",
        "sip:4155550142@example.com",
        "+1415555\x000142 or so",
        "4" * 10_000,
        "anonymous",
        "+266696687",
        "+17378742833",
        "415" + " " * 100 + "5550142",
    ],
)
def test_what_is_no_number_is_refused_with_a_code_and_without_being_repeated(raw: str) -> None:
    with pytest.raises(InvalidPhoneNumber) as caught:
        normalise(raw, "US")
    assert caught.value.code == "invalid_phone"
    assert len(raw) < 3 or raw.strip() == "" or raw not in str(caught.value)


@pytest.mark.parametrize("country", ["", "XX", "Wonderland"])
def test_an_unknown_country_refuses_national_numbers_but_reads_international_ones(country: str) -> None:
    assert normalise("+14155550142", country) == "+14155550142"
    with pytest.raises(InvalidPhoneNumber):
        normalise("4155550142", country)


@given(st.text())
def test_any_text_gives_e164_or_a_refusal(raw: str) -> None:
    try:
        number = normalise(raw, "US")
    except InvalidPhoneNumber:
        return
    assert number.startswith("+")
    assert number[1:].isascii()
    assert number[1:].isdecimal()
    assert len(number) <= 16


@given(
    st.text(alphabet="0123456789+-() ./x", min_size=6, max_size=24), st.sampled_from(["US", "GB", "DE", "AU"])
)
def test_normalising_twice_changes_nothing(raw: str, country: str) -> None:
    try:
        number = normalise(raw, country)
    except InvalidPhoneNumber:
        return
    assert normalise(number, country) == number


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "",
        " ",
        "anonymous",
        "Anonymous",
        "ANONYMOUS",
        "Restricted",
        "private",
        "Unavailable",
        "unknown",
        "blocked",
        "withheld",
        "+266696687",
        "+7378742833",
        "+17378742833",
        "+2562533",
        "+8656696",
        "+86282452253",
        "sip:anonymous@anonymous.invalid",
        "anonymous@anonymous.invalid",
    ],
)
def test_withheld_callers_are_known(raw: str | None) -> None:
    assert is_withheld(raw)


@pytest.mark.parametrize("raw", ["+14155550142", "4155550142", "nonsense", "+26669668", "+4915112345678"])
def test_a_shown_number_is_not_withheld(raw: str) -> None:
    assert not is_withheld(raw)


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("+14155550142", "+1 ••• ••• 0142"),
        ("+442079460018", "+44 ••• ••• 0018"),
        ("+4930123456", "+49 ••• ••• 3456"),
        ("+29012", "•••"),
        ("4155550142", "•••"),
        ("Dana Ruiz", "•••"),
        ("", "•••"),
        (None, "•••"),
    ],
)
def test_a_masked_number_keeps_its_country_and_last_four_digits(number: str | None, masked: str) -> None:
    assert mask(number) == masked


@given(st.text())
def test_masking_never_fails_and_never_shows_more_than_country_and_four_digits(number: str) -> None:
    masked = mask(number)
    assert len([char for char in masked if char.isdigit()]) <= 7


@pytest.mark.parametrize(
    ("number", "possible"),
    [
        ("+14155550142", True),
        ("+447700900123", True),
        ("+4915112345678", True),
        ("+442079460018", False),
        ("+4930123456", False),
        ("+18005550199", False),
        ("not a number", False),
    ],
)
def test_only_numbers_the_plan_calls_landlines_or_services_cannot_be_texted(
    number: str, possible: bool
) -> None:
    assert is_mobile_possible(number) is possible
