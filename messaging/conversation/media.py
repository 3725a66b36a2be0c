"""Pictures and files that came with a text: kept as links to Twilio, never fetched.

What a stranger sent may be anything, and a patient's picture is nobody's but the clinic's: our servers do not open it,
no page shows it by itself, and only who presses the link goes to Twilio for it, where the account may ask who they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

# Twilio takes no more with one text.
MOST = 10
LONGEST_URL = 500
HOST = re.compile(r"api(\.[a-z0-9-]+){0,2}\.twilio\.com")
PATH = re.compile(r"/2010-04-01/Accounts/(AC[0-9a-zA-Z]{32})/Messages/[A-Za-z0-9]+/Media/[A-Za-z0-9]+")
TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,40}/[a-z0-9][a-z0-9.+-]{0,80}")
UNKNOWN_TYPE = "application/octet-stream"
NAMES = (
    ("image/", "Picture"),
    ("audio/", "Sound"),
    ("video/", "Film"),
    ("text/vcard", "Contact card"),
    ("text/x-vcard", "Contact card"),
    ("application/pdf", "PDF"),
)


@dataclass(frozen=True, slots=True)
class Medium:
    """One picture or file: where it lies at Twilio, and of what type it says it is."""

    url: str
    type: str

    @property
    def name(self) -> str:
        """ "Picture", "Sound" …, else "File"."""
        return next((name for start, name in NAMES if self.type.startswith(start)), "File")


def kept(pairs: Iterable[tuple[str, str]], account_sid: str) -> list[dict[str, str]]:
    """What is kept of (address, type) pairs: those that lie in this account at Twilio, as JSON."""
    fitting = [(url, type_of(kind)) for url, kind in pairs if is_twilios(url, account_sid)]
    return [{"url": url, "type": kind} for url, kind in fitting[:MOST]]


def media_of(stored: object) -> list[Medium]:
    """The media of a row's column."""
    rows = stored if isinstance(stored, list) else []
    return [
        Medium(str(row["url"]), str(row["type"])) for row in rows if isinstance(row, dict) and "url" in row
    ]


def type_of(said: str) -> str:
    """A media type as it was said, without its parameters; that of any file where it is none."""
    kind = said.partition(";")[0].strip().lower()
    return kind if TYPE.fullmatch(kind) else UNKNOWN_TYPE


def is_twilios(url: str, account_sid: str) -> bool:
    """Whether ``url`` is a medium of this account at Twilio, and nothing else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    named = PATH.fullmatch(parts.path)
    if named is None or named[1] != account_sid or len(url) > LONGEST_URL or parts.query or parts.fragment:
        return False
    return parts.scheme == "https" and port is None and HOST.fullmatch(parts.netloc.lower()) is not None
