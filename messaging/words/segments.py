"""How many segments a text takes, and in which alphabet: what a message will cost before it is sent.

Rules: 3GPP TS 23.038 section 6.2.1 (the GSM 7 bit default alphabet and its extension table), TS 23.040
section 9.2.3.24.1 (the 6 octets of header that each part of a concatenated message carries).

A message in the GSM alphabet holds 160 septets, or 153 in each part of several; one character outside it
turns the whole message into UCS-2 with 70 units, or 67 in each part.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The 127 characters of one septet; the 128th code is the escape to the extension table."""

GSM_EXTENSION = frozenset("\f^{}\\[~]|€")
"""Characters of two septets: the escape and their own code."""


class Encoding(StrEnum):
    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


@dataclass(frozen=True, slots=True)
class Segments:
    """`units` are septets in GSM-7 and 16-bit code units in UCS-2; `segments` is what the carrier bills."""

    encoding: Encoding
    units: int
    segments: int


_ALONE = {Encoding.GSM_7: 160, Encoding.UCS_2: 70}
_IN_PARTS = {Encoding.GSM_7: 153, Encoding.UCS_2: 67}

_PLAIN = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′‹›`´｀＇", "'"),
        **dict.fromkeys("“”„‟″«»〝〞＂", '"'),
        **dict.fromkeys("‐‑‒–—―−⁃﹘﹣－", "-"),
        **dict.fromkeys("•‣●▪·∙", "*"),
        # Spaces of every width, then line and paragraph separators.
        **dict.fromkeys("\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006", " "),
        **dict.fromkeys("\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "),
        **dict.fromkeys("\u0085\u2028\u2029\v", "\n"),
        # What is not seen: soft hyphen, byte order mark, word joiner, direction marks.
        **dict.fromkeys("\u00ad\u200b\ufeff\u2060\u200e\u200f\u202a\u202b\u202c\u202d\u202e", ""),
        "…": "...",
        "⁄": "/",
        "∕": "/",
        "×": "x",
        "©": "(c)",
        "®": "(r)",
        "™": "(tm)",
        "№": "No.",
        "½": "1/2",
        "¼": "1/4",
        "¾": "3/4",
        "ﬁ": "fi",
        "ﬂ": "fl",
    }
)


def measure(body: str) -> Segments:
    """Return the alphabet, the units and the segments that `body` takes as it stands.

    No character is cut in two: an extension character's two septets, or the two halves of a character
    outside the basic plane (an emoji), move to the next segment together. An empty body is one segment.
    """
    in_gsm = _in_gsm_alphabet(body)
    encoding = Encoding.GSM_7 if in_gsm else Encoding.UCS_2
    sizes = [_septets(char) if in_gsm else _code_units(char) for char in body]
    units = sum(sizes)
    if units <= _ALONE[encoding]:
        return Segments(encoding, units, 1)
    return Segments(encoding, units, _parts(sizes, _IN_PARTS[encoding]))


def plain(body: str) -> str:
    """Return `body` with typography in its plain form: quotes, dashes, dots, odd spaces, invisible marks.

    These come from word processors and would double the price of a text for nothing a reader misses.
    Letters are never changed: a name keeps its accents, even where they cost more. A text that needs UCS-2
    for its letters anyway stays as it was written.
    """
    made = body.translate(_PLAIN)
    return made if _in_gsm_alphabet(made) else body


def _in_gsm_alphabet(body: str) -> bool:
    return all(char in GSM_BASIC or char in GSM_EXTENSION for char in body)


def _septets(char: str) -> int:
    return 2 if char in GSM_EXTENSION else 1


def _code_units(char: str) -> int:
    return 2 if ord(char) > 0xFFFF else 1


def _parts(sizes: list[int], capacity: int) -> int:
    parts, used = 1, 0
    for size in sizes:
        if used + size > capacity:
            parts, used = parts + 1, 0
        used += size
    return parts


ALPHABET = {
    "basic": "".join(sorted(GSM_BASIC)),
    "extension": "".join(sorted(GSM_EXTENSION)),
    "plain": {chr(code): made for code, made in _PLAIN.items()},
    "alone": {encoding.value: size for encoding, size in _ALONE.items()},
    "parts": {encoding.value: size for encoding, size in _IN_PARTS.items()},
}
"""The same tables as JSON, for a page that counts while somebody types (``messaging/conversation.js``)."""
