"""As much of S3's protocol as keeping recordings needs, on this machine: objects by path, whole or in parts."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

KEY, SECRET, REGION, BUCKET = "a-key", "a/secret+with@odd:signs", "eu-north-1", "clinic-recordings"
CREDENTIAL = re.compile(rf"AWS4-HMAC-SHA256 Credential={KEY}/\d{{8}}/{REGION}/s3/aws4_request,")


@dataclass
class Held:
    """What the server holds, was asked for, and how it misbehaves: ``refuse`` is a status and S3's code."""

    objects: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refuse: tuple[int, str] | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"s3+http://{KEY}:a%2Fsecret%2Bwith%40odd%3Asigns@127.0.0.1:{self.port}/{BUCKET}/voxanne?region={REGION}"


@contextmanager
def running() -> Iterator[Held]:
    held = Held()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"held": held}))
    server.daemon_threads = True
    held.port = int(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield held
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    held: Held

    def log_message(self, *words: Any) -> None:
        """Says nothing."""

    def _began(self) -> tuple[str, dict[str, str], bytes] | None:
        """The object's name, what stands behind the question mark, and the body; None once it was refused."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        place = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(place.query, keep_blank_values=True).items()}
        self.held.asked.append(f"{self.command} {place.path}")
        if self.held.refuse:
            self._fault(*self.held.refuse)
        elif not CREDENTIAL.match(self.headers.get("Authorization", "")):
            self._fault(403, "SignatureDoesNotMatch")
        elif not place.path.startswith(f"/{BUCKET}/"):
            self._fault(404, "NoSuchBucket")
        else:
            return unquote(place.path.removeprefix(f"/{BUCKET}/")), query, body
        return None

    def do_PUT(self) -> None:
        began = self._began()
        if began is None:
            return
        name, query, body = began
        if "uploadId" in query:
            self.held.parts[query["uploadId"]][int(query["partNumber"])] = body
        else:
            self.held.objects[name] = body
            self.held.types[name] = self.headers.get("Content-Type", "")
        self._say(200, b"", {"ETag": f'"{len(body)}"'})

    def do_POST(self) -> None:
        began = self._began()
        if began is None:
            return
        name, query, _ = began
        if "uploads" in query:
            upload = f"upload-{len(self.held.parts)}"
            self.held.parts[upload] = {}
            self._xml(
                f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            )
            return
        parts = self.held.parts.pop(query["uploadId"])
        self.held.objects[name] = b"".join(parts[number] for number in sorted(parts))
        self._xml("<CompleteMultipartUploadResult><ETag>whole</ETag></CompleteMultipartUploadResult>")

    def do_GET(self) -> None:
        began = self._began()
        if began is None:
            return
        content = self.held.objects.get(began[0])
        if content is None:
            self._fault(404, "NoSuchKey")
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = (int(asked[1]), int(asked[2] or len(content) - 1)) if asked else (0, len(content) - 1)
        headers = {"Content-Range": f"bytes {first}-{last}/{len(content)}"} if asked else {}
        self._say(206 if asked else 200, content[first : last + 1], headers)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        began = self._began()
        if began is not None:
            self.held.objects.pop(began[0], None)
            self._say(204, b"", {})

    def _xml(self, text: str) -> None:
        self._say(200, text.encode(), {"Content-Type": "application/xml"})

    def _fault(self, status: int, code: str) -> None:
        self._say(status, f"<Error><Code>{code}</Code></Error>".encode(), {"Content-Type": "application/xml"})

    def _say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {
            "Last-Modified": "Fri, 20 Nov 2026 09:00:00 GMT",
            "ETag": '"1"',
            **headers,
        }.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
