"""Where Vapi keeps a call's recording, and how it is fetched from there.

``GET /call/{id}/mono-recording`` with the private key answers 302 to a short-lived address at Vapi's storage. The
address in a call's report is the fall-back, and used only where it is one of Vapi's (as for call control).

Redirects are followed by hand and checked one by one: https on its own port, to Vapi or to a storage host of
``RECORDING_HOSTS``; the key goes to Vapi's API alone. Whatever a name resolves to, nothing is asked of an address
that is not public: that is looked at on the open connection, where no second look-up can change it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

from telephony.vapi.control import PLAIN_ADDRESS
from telephony.vapi.control import is_allowed as is_vapis

MOST_REDIRECTS = 3
TIMEOUT = (5.0, 20.0)
DEADLINE_SECONDS = 180.0
CHUNK_BYTES = 64 * 1024
PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
REDIRECTS = frozenset({301, 302, 303, 307, 308})
NOT_THERE = frozenset({404, 410})
# What object stores call a file whose type nobody told them.
UNTYPED = frozenset({"", "application/octet-stream", "binary/octet-stream"})


class SourceFault(RuntimeError):
    """The recording was not fetched; ``permanent`` when trying again is useless. ``status`` is what was answered."""

    def __init__(self, message: str, *, permanent: bool, status: int | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.status = status

    @property
    def is_outage(self) -> bool:
        """Vapi's fault, not this recording's."""
        return not self.permanent and (self.status is None or self.status == 429 or self.status >= 500)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was written: how much, of which kind, and its digest."""

    size: int
    content_type: str
    extension: str
    sha256: str


@dataclass(frozen=True, slots=True)
class CallAtVapi:
    """A call's id there, and by which ids Vapi must know it: those of its clinic's assistants and numbers."""

    id: str
    assistants: frozenset[str]
    numbers: frozenset[str]


class NotPublic(Exception):
    """A name led to an address inside some network."""


class PublicConnection(HTTPSConnection):
    """Looks at whom it reached before anything is said, the TLS greeting included."""

    def _new_conn(self) -> socket.socket:
        reached = super()._new_conn()
        if not is_public(reached.getpeername()[0]):
            reached.close()
            raise NotPublic
        return reached


class PublicPool(HTTPSConnectionPool):
    ConnectionCls = PublicConnection


class PublicOnly(HTTPAdapter):
    """For requests: https to public addresses alone."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": PublicPool}


def is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found.sixtofour or found
    return found.is_global and not found.is_multicast


def fetch(call: CallAtVapi, reported: str, into: BinaryIO) -> Fetched:
    """Writes the recording into ``into``. ``reported`` is the address in the call's report, or blank.

    Our key opens every clinic's calls, and a clinic's own webhook may name any call: so Vapi is asked first whether
    the call is this clinic's. Raises SourceFault.
    """
    fault = SourceFault("Vapi named no address of the recording that we may use.", permanent=True)
    for address, with_key in _addresses(call, reported):
        into.seek(0)
        into.truncate()
        try:
            if with_key:
                _insist_on_clinic(call)
            return _fetch_from(address, into, with_key=with_key)
        except SourceFault as found:
            fault = found
            if found.status not in NOT_THERE:
                break
    raise fault


def _addresses(call: CallAtVapi, reported: str) -> Iterator[tuple[str, bool]]:
    """Where to ask, and whether with our key: never at an address that a report named, for it may be another
    clinic's call's."""
    if settings.VAPI_API_KEY and PLAIN_ID.fullmatch(call.id):
        yield f"{settings.VAPI_API_BASE_URL}/call/{call.id}/mono-recording", True
    if reported and is_vapis(reported):
        yield reported, False


def _insist_on_clinic(call: CallAtVapi) -> None:
    with (
        _session() as session,
        _asked(session, f"{settings.VAPI_API_BASE_URL}/call/{call.id}", with_key=True) as answer,
    ):
        _insist_on_answer(answer)
        try:
            known = answer.json()
        except (ValueError, requests.RequestException) as error:
            raise SourceFault("Vapi did not answer with a call.", permanent=False) from error
    found = known if isinstance(known, dict) else {}
    if found.get("assistantId") not in call.assistants and found.get("phoneNumberId") not in call.numbers:
        raise SourceFault("Vapi knows the call as none of this clinic's.", permanent=True)


def is_storage(address: str) -> bool:
    """Whether Vapi may send us on to this address."""
    if not PLAIN_ADDRESS.fullmatch(address):
        return False
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme != "https" or port not in (None, 443) or parts.username or parts.password:
        return False
    return any(host == known or host.endswith(f".{known}") for known in settings.RECORDING_HOSTS)


def _fetch_from(address: str, into: BinaryIO, *, with_key: bool) -> Fetched:
    ends = time.monotonic() + DEADLINE_SECONDS
    with _session() as session:
        for _ in range(MOST_REDIRECTS + 1):
            with _asked(session, address, with_key=with_key) as answer:
                if answer.status_code not in REDIRECTS:
                    return _written(answer, into, ends)
                address = onward(address, answer.headers.get("Location", ""))
    raise SourceFault("Vapi sent us on too often.", permanent=True)


def onward(address: str, location: str) -> str:
    """The address that we are sent on to from ``address``. Raises SourceFault for one that is not to be used."""
    try:
        # What urljoin would quietly leave out is no address to begin with.
        sent_to = urljoin(address, location) if PLAIN_ADDRESS.fullmatch(location) else ""
    except ValueError:
        sent_to = ""
    if not (is_vapis(sent_to) or is_storage(sent_to)):
        raise SourceFault("Vapi sent us on to an address that is not to be used.", permanent=True)
    return sent_to


def _session() -> requests.Session:
    session = requests.Session()
    # A proxy would be asked in place of the address that is looked at.
    session.trust_env = False
    if not _is_ours(settings.VAPI_API_BASE_URL):
        session.mount("https://", PublicOnly())
    return session


def _asked(session: requests.Session, address: str, *, with_key: bool) -> requests.Response:
    headers = {"Accept": "audio/*", "Accept-Encoding": "identity"}
    if with_key and settings.VAPI_API_KEY and _origin(address) == _origin(settings.VAPI_API_BASE_URL):
        headers["Authorization"] = f"Bearer {settings.VAPI_API_KEY}"
    try:
        return session.get(address, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True)
    except NotPublic as error:
        raise SourceFault("The address leads into a network that is not public.", permanent=True) from error
    except requests.RequestException as error:
        raise SourceFault(f"It could not be reached ({type(error).__name__}).", permanent=False) from error


def _origin(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc


def _is_ours(base_url: str) -> bool:
    """Whether the API is played on this machine, which is never so in production."""
    return not settings.PRODUCTION and urlsplit(base_url).hostname in ("127.0.0.1", "localhost", "::1")


def _written(answer: requests.Response, into: BinaryIO, ends: float) -> Fetched:
    _insist_on_answer(answer)
    declared = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not declared.startswith("audio/") and declared not in UNTYPED:
        raise SourceFault("What came is no audio.", permanent=True)
    size, digest, head = 0, hashlib.sha256(), b""
    try:
        for chunk in answer.iter_content(CHUNK_BYTES):
            size += len(chunk)
            if size > settings.RECORDING_MOST_BYTES:
                raise SourceFault("The recording is larger than RECORDING_MOST_BYTES.", permanent=True)
            if time.monotonic() > ends:
                raise SourceFault("It took too long.", permanent=False)
            head = head or chunk[:16]
            digest.update(chunk)
            into.write(chunk)
    except requests.RequestException as error:
        raise SourceFault(f"It broke off ({type(error).__name__}).", permanent=False) from error
    _complete(answer, size)
    content_type, extension = _kind_of(head)
    return Fetched(size, content_type, extension, digest.hexdigest())


def _insist_on_answer(answer: requests.Response) -> None:
    status = answer.status_code
    if status != 200:
        # Just after a call its recording may not be there yet.
        permanent = status < 500 and status not in (404, 408, 425, 429)
        raise SourceFault(f"It was answered with {status}.", permanent=permanent, status=status)


def _complete(answer: requests.Response, size: int) -> None:
    """urllib3 counts too, but not for every way in which a body may end."""
    announced = answer.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced) != size:
        raise SourceFault("It broke off.", permanent=False)


def _kind_of(head: bytes) -> tuple[str, str]:
    """Type and extension by the first bytes: what is told may be wrong, what is played must not be."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "audio/wav", ".wav"
    if head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0):
        return "audio/mpeg", ".mp3"
    if head[:4] == b"OggS":
        return "audio/ogg", ".ogg"
    if head[:4] == b"fLaC":
        return "audio/flac", ".flac"
    if head[4:8] == b"ftyp":
        return "audio/mp4", ".m4a"
    if head[:4] == b"\x1aE\xdf\xa3":
        return "audio/webm", ".webm"
    raise SourceFault("What came is no audio that we know.", permanent=True)
