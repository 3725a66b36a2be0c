"""What is asked, of whom, and what is taken: hosts, redirects, sizes, types, keys."""

from __future__ import annotations

import io
import socket
import threading
import time
from typing import Any

import pytest
import requests
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from monitoring.breaker import Service, decide
from telephony.vapi import recording_source
from telephony.vapi.recording_source import (
    CallAtVapi,
    NotPublic,
    PublicOnly,
    SourceFault,
    fetch,
    is_public,
    is_storage,
    onward,
)
from tests.recordings.archive import Archive
from tests.telephony.test_control_addresses import HOSTILE

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(100)
CALL = CallAtVapi("call-1", frozenset({"assistant-1"}), frozenset({"number-1"}))
MONO = "/vapi/call/call-1/mono-recording"


@pytest.fixture
def vapi(httpserver: HTTPServer, settings: Any) -> HTTPServer:
    """A Vapi at the origin that VAPI_API_BASE_URL names, which knows the call."""
    settings.VAPI_API_BASE_URL, settings.VAPI_API_KEY = httpserver.url_for("/vapi"), "private-key"
    known = {"id": "call-1", "assistantId": "assistant-1"}
    httpserver.expect_request("/vapi/call/call-1").respond_with_json(known)
    return httpserver


def fetched(call: CallAtVapi = CALL, reported: str = "") -> tuple[recording_source.Fetched, bytes]:
    kept = io.BytesIO()
    return fetch(call, reported, kept), kept.getvalue()


def refused(call: CallAtVapi = CALL, reported: str = "") -> SourceFault:
    with pytest.raises(SourceFault) as fault:
        fetched(call, reported)
    return fault.value


def sends_on(vapi: HTTPServer, path: str, location: str, status: int = 302) -> None:
    vapi.expect_request(path).respond_with_response(Response(status=status, headers={"Location": location}))


def asked(vapi: HTTPServer) -> list[str]:
    return [request.path for request, _ in vapi.log]


# Whose call it is


def test_the_key_goes_to_the_api_and_the_recording_comes_from_where_it_sends_us(vapi: HTTPServer) -> None:
    sends_on(vapi, MONO, "/elsewhere/1.wav")
    vapi.expect_request("/elsewhere/1.wav").respond_with_data(WAV, content_type="audio/x-wav")
    found, content = fetched()
    assert content == WAV
    assert (found.size, found.content_type, found.extension) == (len(WAV), "audio/wav", ".wav")
    keys = {request.path: request.headers.get("Authorization") for request, _ in vapi.log}
    assert keys[MONO] == "Bearer private-key"


def test_the_key_is_told_to_nobody_else(vapi: HTTPServer, settings: Any) -> None:
    with HTTPServer() as other:
        other.expect_request("/1.wav").respond_with_data(WAV, content_type="audio/wav")
        settings.RECORDING_HOSTS = ["nobody.example"]
        assert recording_source._origin(other.url_for("/")) != recording_source._origin(vapi.url_for("/"))
        session = requests.Session()
        recording_source._asked(session, other.url_for("/1.wav"), with_key=True)
        assert "Authorization" not in other.log[0][0].headers


@pytest.mark.parametrize(
    "call",
    [
        CallAtVapi("call-1", frozenset({"another"}), frozenset()),
        CallAtVapi("call-1", frozenset(), frozenset({"another"})),
        CallAtVapi("call-1", frozenset(), frozenset()),
    ],
)
def test_a_call_of_another_clinic_is_not_fetched_with_our_key(vapi: HTTPServer, call: CallAtVapi) -> None:
    """A clinic's own webhook may name whatever call it likes."""
    vapi.expect_request(MONO).respond_with_data(WAV, content_type="audio/wav")
    assert refused(call).permanent
    assert MONO not in asked(vapi)


@pytest.mark.parametrize("call_id", ["..", "../assistant", "a/b", "a?b", "", "a b", "-", "%2e%2e", "a\\b"])
def test_an_id_that_is_none_makes_no_address(vapi: HTTPServer, call_id: str) -> None:
    assert refused(CallAtVapi(call_id, CALL.assistants, CALL.numbers)).permanent
    assert asked(vapi) == []


def test_without_a_key_the_reported_address_is_asked_and_without_one_nothing(
    vapi: HTTPServer, settings: Any
) -> None:
    settings.VAPI_API_KEY = ""
    assert refused().permanent
    vapi.expect_request("/vapi/recordings/1.wav").respond_with_data(WAV, content_type="audio/wav")
    assert fetched(reported=vapi.url_for("/vapi/recordings/1.wav"))[1] == WAV


def test_the_reported_address_stands_in_where_the_api_knows_no_recording(vapi: HTTPServer) -> None:
    vapi.expect_request(MONO).respond_with_data("", status=404)
    vapi.expect_request("/vapi/recordings/1.wav").respond_with_data(WAV, content_type="audio/wav")
    assert fetched(reported=vapi.url_for("/vapi/recordings/1.wav"))[1] == WAV


@pytest.mark.parametrize("address", HOSTILE)
def test_a_reported_address_that_is_not_vapis_is_never_asked(
    vapi: HTTPServer, settings: Any, address: str
) -> None:
    settings.VAPI_API_KEY = ""
    settings.VAPI_API_BASE_URL = "http://127.0.0.1:4020/vapi"
    assert refused(reported=address).permanent


@pytest.mark.parametrize("call_id", ["no-such-call", "no id at all"])
def test_another_clinics_recording_named_in_a_report_is_not_opened_with_our_key(
    vapi: HTTPServer, call_id: str
) -> None:
    """A clinic's own webhook may name whatever address it likes, the API's among them."""
    theirs = "/vapi/call/call-of-another/mono-recording"

    def answer(request: Request) -> Response:
        known = "Authorization" in request.headers
        return Response(WAV, mimetype="audio/wav") if known else Response(status=401)

    vapi.expect_request("/vapi/call/no-such-call").respond_with_data("", status=404)
    vapi.expect_request(theirs).respond_with_handler(answer)
    refused(CallAtVapi(call_id, CALL.assistants, CALL.numbers), reported=vapi.url_for(theirs))
    keys = [request.headers.get("Authorization") for request, _ in vapi.log if request.path == theirs]
    assert keys == [None]


# Where we let ourselves be sent


@pytest.mark.parametrize(
    "address",
    ["https://bucket.s3.us-west-2.amazonaws.com/a.wav?X-Amz-Signature=x", "https://a.r2.cloudflarestorage.com/b",
     "https://storage.googleapis.com/a/b.mp3", "https://x.amazonaws.com:443/a"],
)  # fmt: skip
def test_vapis_storage_is_let_pass(address: str) -> None:
    assert is_storage(address)


@pytest.mark.parametrize(
    "address",
    ["http://a.amazonaws.com/a", "https://amazonaws.com.evil.example/a", "https://evilamazonaws.com/a",
     "https://a.amazonaws.com:8443/a", "https://user@a.amazonaws.com/a", "https://127.0.0.1/a", "https://localhost/a",
     "https://[::1]/a", "https://evil.example/.amazonaws.com", "https://evil.example\\.amazonaws.com/a", "ftp://a",
     "https://a.amazonaws.com\n/a", "file:///etc/passwd", "", "https://a.amazonaws.com:x/",
     "https://[::1", "//evil.example/a"],
)  # fmt: skip
def test_nothing_else_is(address: str) -> None:
    assert not is_storage(address)
    with pytest.raises(SourceFault):
        onward("https://api.vapi.ai/call/1/mono-recording", address or "https://evil.example")


def test_where_we_are_sent_wrongly_nothing_is_asked(vapi: HTTPServer) -> None:
    with HTTPServer() as inside:
        sends_on(vapi, MONO, inside.url_for("/latest/meta-data"))
        assert refused().permanent
        assert asked(vapi) == ["/vapi/call/call-1", MONO]
        assert inside.log == []


def test_we_are_not_sent_round_for_ever(vapi: HTTPServer) -> None:
    sends_on(vapi, MONO, vapi.url_for(MONO))
    assert refused().permanent
    assert asked(vapi).count(MONO) == recording_source.MOST_REDIRECTS + 1


@pytest.mark.parametrize(
    ("address", "public"),
    [("8.8.8.8", True), ("127.0.0.1", False), ("10.1.2.3", False), ("169.254.169.254", False), ("192.168.0.1", False),
     ("100.64.0.1", False), ("255.255.255.255", False), ("224.0.0.1", False), ("::1", False), ("fe80::1%eth0", False),
     ("fd00::1", False), ("::ffff:10.0.0.1", False), ("2002:7f00:0001::", False), ("2606:4700::1", True)],
)  # fmt: skip
def test_only_public_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_a_name_that_leads_inside_is_told_nothing() -> None:
    """Whatever was resolved before: the open connection is looked at, and not one byte is sent on it."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as inside:

        def listen() -> None:
            reached, _ = inside.accept()
            with reached:
                received.append(reached.recv(1000))

        waiting = threading.Thread(target=listen, daemon=True)
        waiting.start()
        session = requests.Session()
        session.mount("https://", PublicOnly())
        with pytest.raises(NotPublic):
            session.get(f"https://localhost:{inside.getsockname()[1]}/latest/meta-data", timeout=5)
        waiting.join(5)
    assert received == [b""]


def test_in_production_every_address_is_looked_at(settings: Any) -> None:
    for production, base in ((True, "http://127.0.0.1:4020/vapi"), (True, "https://api.vapi.ai"),
                             (False, "https://api.vapi.ai")):  # fmt: skip
        settings.PRODUCTION, settings.VAPI_API_BASE_URL = production, base
        assert isinstance(recording_source._session().get_adapter("https://x.vapi.ai"), PublicOnly)


# What is taken


@pytest.mark.parametrize(
    ("content", "kind"),
    [(WAV, "audio/wav"), (b"ID3" + bytes(60), "audio/mpeg"), (b"\xff\xfb" + bytes(60), "audio/mpeg"),
     (b"OggS" + bytes(60), "audio/ogg"), (b"\x00\x00\x00\x20ftypM4A " + bytes(60), "audio/mp4")],
)  # fmt: skip
@pytest.mark.parametrize("declared", ["audio/wav", "application/octet-stream", "binary/octet-stream"])
def test_the_kind_is_told_by_the_sound_itself(
    vapi: HTTPServer, content: bytes, kind: str, declared: str
) -> None:
    vapi.expect_request(MONO).respond_with_data(content, content_type=declared)
    assert fetched()[0].content_type == kind


@pytest.mark.parametrize(
    ("content", "declared"),
    [(WAV, "text/html"), (WAV, "image/svg+xml"), (WAV, "application/json"), (b"<html><script>", "audio/wav"),
     (b"", "audio/wav"), (b"RIFF", "audio/wav"), (b"MZ" + bytes(100), "application/octet-stream")],
)  # fmt: skip
def test_what_is_no_sound_is_not_kept(vapi: HTTPServer, content: bytes, declared: str) -> None:
    vapi.expect_request(MONO).respond_with_data(content, content_type=declared)
    assert refused().permanent


def test_what_is_too_large_is_broken_off(vapi: HTTPServer, settings: Any) -> None:
    settings.RECORDING_MOST_BYTES = 200_000
    vapi.expect_request(MONO).respond_with_data(WAV + bytes(200_000), content_type="audio/wav")
    fault = refused()
    assert fault.permanent
    assert "RECORDING_MOST_BYTES" in str(fault)


def test_an_endless_one_is_broken_off(vapi: HTTPServer, settings: Any) -> None:
    settings.RECORDING_MOST_BYTES = 1_000_000

    def endless(request: Request) -> Response:
        def drip() -> Any:
            yield WAV
            while True:
                yield bytes(65536)

        return Response(drip(), content_type="audio/wav")

    vapi.expect_request(MONO).respond_with_handler(endless)
    assert refused().permanent


def test_a_slow_one_is_broken_off_and_tried_again(vapi: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_source, "DEADLINE_SECONDS", 0.3)

    def slow(request: Request) -> Response:
        def drip() -> Any:
            yield WAV
            for _ in range(40):
                time.sleep(0.05)
                yield bytes(65536)

        return Response(drip(), content_type="audio/wav")

    vapi.expect_request(MONO).respond_with_handler(slow)
    began = time.monotonic()
    assert not refused().permanent
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        (401, True),
        (403, True),
        (400, True),
        (404, False),
        (429, False),
        (500, False),
        (503, False),
        (304, True),
    ],
)
def test_only_what_may_pass_is_tried_again(vapi: HTTPServer, status: int, permanent: bool) -> None:
    vapi.expect_request(MONO).respond_with_data("", status=status)
    assert refused().permanent is permanent


def test_a_vapi_that_is_away_is_tried_again(settings: Any) -> None:
    settings.VAPI_API_BASE_URL, settings.VAPI_API_KEY = "http://127.0.0.1:1", "private-key"
    assert not refused().permanent


# As work


def test_a_recording_that_is_not_there_yet_is_fetched_later(archive: Archive) -> None:
    call = archive.ended_call(status="in-progress")
    archive.queue(call)
    archive.try_once(call)
    waiting = archive.of(call)
    assert (waiting.state, waiting.attempts) == ("queued", 1)
    assert "404" in waiting.last_error


def test_a_wrong_key_is_given_up_for_a_person_to_look_at(archive: Archive, settings: Any) -> None:
    settings.VAPI_API_KEY = "public-key"
    call = archive.ended_call()
    archive.queue(call)
    archive.try_once(call)
    dead = archive.of(call)
    assert (dead.state, dead.last_error) == ("dead", "It was answered with 401.")


def test_a_connection_that_breaks_is_tried_again(archive: Archive) -> None:
    call = archive.ended_call()
    archive.queue(call)
    archive.sandbox.fault("connection_reset", service="vapi", count=2)
    archive.try_once(call)
    assert archive.of(call).state == "queued"


def test_outages_open_the_circuit_and_then_no_attempt_is_used(archive: Archive) -> None:
    archive.sandbox.fault("server_error", service="vapi")
    for _ in range(3):
        call = archive.ended_call()
        archive.queue(call)
        archive.try_once(call)
        assert archive.of(call).attempts == 1
    assert not decide(Service.VAPI_API, archive.clinic.id).allowed
    call = archive.ended_call()
    archive.queue(call)
    archive.try_once(call)
    spared = archive.of(call)
    assert (spared.state, spared.attempts) == ("queued", 0)
