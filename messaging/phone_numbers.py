"""Phone numbers: one written form for all of them, and never a whole one in a log.

Numbers come from signalling (E.164 already), from a speech-to-text model, from forms and from lists. All of
them are kept as E.164 (ITU-T E.164), read with the clinic's country where no country code is given.

A number passes when its length is possible for its country, not only when the numbering plan has handed it
out. Plans grow faster than any table of them, and ranges kept free for fiction and tests (+44 7700 900xxx,
for one) must pass. What nobody can own is refused all the same: see `normalise`.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import phonenumbers
from phonenumbers import (
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
)

WITHHELD_WORDS = frozenset(
    {
        "",
        "anonymous",
        "blocked",
        "no caller id",
        "none",
        "null",
        "private",
        "private number",
        "restricted",
        "unavailable",
        "unknown",
        "withheld",
    }
)
"""What carriers, Twilio and Vapi put in place of a number that the caller keeps to themselves."""

_KEYPAD = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
_KEYPAD_WORDS = ("anonymous", "blocked", "restricted", "unavailable", "unknown")
_WITHHELD_NUMBERS = frozenset(
    {"+" + word.translate(_KEYPAD) for word in _KEYPAD_WORDS}
    # The one of these that has the length of a national number also arrives with a +1 before it.
    | {"+1" + "restricted".translate(_KEYPAD)}
)

_LONGEST_INPUT = 64
_WRITTEN_LIKE_A_NUMBER = re.compile(
    r"(?:tel:)?\+?[0-9 ().\-/]*[0-9]\)?\s*(?:(?:ext|extension|x)[ .:]*[0-9]{1,7})?", re.IGNORECASE
)
_EXTENSION = re.compile(r"\s*(?:ext|extension|x)[ .:]*[0-9]{1,7}$", re.IGNORECASE)
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−－"), "-")
_NEVER_MOBILE = frozenset(
    {
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.PAGER,
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.UAN,
        PhoneNumberType.VOICEMAIL,
    }
)
_NORTH_AMERICA = 1
_HIDDEN = "•••"


class InvalidPhoneNumber(ValueError):
    """The text is not a phone number anybody could own. Its message never repeats the text."""

    def __init__(self, code: str = "invalid_phone") -> None:
        self.code = code
        super().__init__(
            "This is not a complete phone number. Give it with its area code, or with + and country code."
        )


@lru_cache(maxsize=2048)  # every message of a call brings the same one
def normalise(raw: str, country: str) -> str:
    """Return `raw` as E.164 ("+14155550142").

    `country` is the ISO 3166 code of the clinic ("US"), used where `raw` has no country code. Spaces, dots,
    dashes, slashes, parentheses, a `tel:` prefix and other scripts' digits are read; a leading 00 is read
    as + where the country does not read it otherwise; an extension is dropped, since no text reaches one.

    Raises `InvalidPhoneNumber` for anything else, for a withheld number, for a length the country does not
    have, and for North American numbers whose area code begins with 0 or 1, as no area code does (NANPA):
    those are what a speech model fills in when it has heard no number.
    """
    if is_withheld(raw):
        raise InvalidPhoneNumber
    text = _tidy(raw)
    if not _WRITTEN_LIKE_A_NUMBER.fullmatch(text):
        raise InvalidPhoneNumber
    text = _EXTENSION.sub("", text)
    number = _possible(text, country)
    if number is None and text.startswith("00"):
        number = _possible("+" + text[2:], country)
    if number is None:
        raise InvalidPhoneNumber
    written = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    # Numbers of nothing but zeros lose one each time they are read: what has no lasting form is nobody's.
    if _possible(written, country) != number:
        raise InvalidPhoneNumber
    return written


def is_withheld(raw: str | None) -> bool:
    """Say whether `raw` stands for a caller who withheld the number, or for no number at all.

    Besides words, Twilio sends such words as typed on a phone's keypad: +266696687 is "anonymous".
    """
    if raw is None:
        return True
    text = _tidy(raw).lower()
    if text in WITHHELD_WORDS or text in _WITHHELD_NUMBERS:
        return True
    return text.startswith(("anonymous@", "sip:anonymous@", "sips:anonymous@"))


def mask(number: str | None) -> str:
    """Return `number` for people's eyes, logs and reports: country code and last four digits only.

    "+14155550142" gives "+1 ••• ••• 0142". What is not E.164, or too short to hide anything behind its last
    four digits, gives dots alone. Never raises.
    """
    if not number:
        return _HIDDEN
    try:
        parsed = phonenumbers.parse(number, None)
    except NumberParseException:
        return _HIDDEN
    national = phonenumbers.national_significant_number(parsed)
    if len(national) < 7:
        return _HIDDEN
    return f"+{parsed.country_code} {_HIDDEN} {_HIDDEN} {national[-4:]}"


def spaced(number: str) -> str:
    """Return `number` (E.164) as it is read: "+1 415-555-0142". What is no number is returned as it is."""
    try:
        parsed = phonenumbers.parse(number, None)
    except NumberParseException:
        return number
    return phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL)


def is_mobile_possible(number: str) -> bool:
    """Say whether a text may reach `number` (E.164): false only where the plan says it cannot.

    In North America a number does not tell whether it is a mobile; such numbers, those of unknown kind and
    internet telephony count as possible.
    """
    try:
        parsed = phonenumbers.parse(number, None)
    except NumberParseException:
        return False
    return phonenumbers.number_type(parsed) not in _NEVER_MOBILE


def is_of_country(number: str, country: str) -> bool:
    """Whether `number` (E.164) is of `country` (ISO 3166). Of several that share a country code it is asked which; a
    number of none of them counts as the main one's."""
    try:
        parsed = phonenumbers.parse(number, None)
    except NumberParseException:
        return False
    code = parsed.country_code or 0
    region = phonenumbers.region_code_for_number(parsed) or phonenumbers.region_code_for_country_code(code)
    return region == country.upper()


def _tidy(raw: str) -> str:
    """Return `raw` in plain digits, hyphens and single spaces, without invisible characters."""
    if len(raw) > _LONGEST_INPUT:
        return "?"
    text = unicodedata.normalize("NFKC", raw.translate(_DASHES))
    visible = (_plain(char) for char in text if unicodedata.category(char) not in ("Cf", "Cc"))
    return " ".join("".join(visible).split())


def _plain(char: str) -> str:
    if char.isspace():
        return " "
    return str(unicodedata.digit(char)) if unicodedata.category(char) == "Nd" else char


def _possible(text: str, country: str) -> PhoneNumber | None:
    try:
        number = phonenumbers.parse(text, country.upper())
    except NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return None
    national = phonenumbers.national_significant_number(number)
    if number.country_code == _NORTH_AMERICA and national[0] in "01":
        return None
    return number
