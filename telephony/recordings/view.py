"""A recording as a player asks for it: whole or in parts, for whoever holds a link that still stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.core.files import File
from django.core.files.storage import default_storage
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_safe

from monitoring.errors import error_response, standard_response, unauthorized
from telephony.models import Recording
from telephony.recordings.links import read_link, recording_behind

CHUNK_BYTES = 64 * 1024
ONE_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
HEADERS = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


@require_safe
def play(request: HttpRequest, signed: str) -> HttpResponseBase:
    """200 or 206 with the sound; 401 for a link that does not hold, 404 where nothing is kept behind it."""
    try:
        link = read_link(signed)
    except BadSignature:
        return unauthorized("The link has run out; open the call's page again.")
    recording = recording_behind(link)
    if recording is None or not recording.size:
        return standard_response(404)
    part = wanted_part(request.headers.get("Range", ""), recording.size)
    if part is None:
        refusal = error_response(416, "range_not_satisfiable", "The recording has no such part.")
        refusal["Content-Range"] = f"bytes */{recording.size}"
        return refusal
    return _answer(request, recording, part)


def wanted_part(asked: str, size: int) -> range | None:
    """The bytes that a Range header asks for: all for none, for several ranges or what is no range (RFC 9110
    14.2); None where there are none such."""
    found = ONE_RANGE.fullmatch(asked.strip())
    if found is None or found.group() == "bytes=-":
        return range(size)
    first, last = found.groups()
    if not first:
        return range(max(0, size - int(last)), size) if int(last) else None
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return range(size)
    return range(start, end + 1) if start < size else None


def _answer(request: HttpRequest, recording: Recording, part: range) -> HttpResponseBase:
    size = recording.size or 0
    headers = {**HEADERS, "Content-Length": str(len(part))}
    status = 200
    if len(part) != size:
        status = 206
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    if request.method == "HEAD":
        return HttpResponse(status=status, content_type=recording.content_type, headers=headers)
    try:
        file = default_storage.open(recording.storage_name)
    except OSError:
        return standard_response(404)
    return StreamingHttpResponse(
        _read(file, part), status=status, content_type=recording.content_type, headers=headers
    )


def _read(file: File[Any], part: range) -> Iterator[bytes]:
    with file:
        file.seek(part.start)
        left = len(part)
        while left > 0:
            chunk = file.read(min(CHUNK_BYTES, left))
            if not chunk:
                return
            left -= len(chunk)
            yield chunk
