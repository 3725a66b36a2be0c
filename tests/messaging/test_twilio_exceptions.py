"""What a try at Twilio came to when it raised: real exceptions, from real sockets, of the real clients."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import requests
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from messaging.providers.answers import TryOutcome
from messaging.providers.twilio.outcomes import (
    Fault,
    outcome_of_exception,
    outcome_of_sid,
    verdict_of_exception,
)
from tests.messaging.broken_servers import (
    Behaviour,
    answering,
    answering_json,
    closing_after_request,
    nobody_accepting,
    nobody_listening,
    resetting_after_request,
    resetting_in_request,
    serving,
)

TIMEOUT = 0.3
ACCOUNT = "AC" + "0" * 32


def failure_of_post(address: str, **kwargs: Any) -> requests.RequestException:
    with pytest.raises(requests.RequestException) as caught:
        requests.post(address, data={"Body": "hello"}, timeout=TIMEOUT, **kwargs)
    return caught.value


class LoopbackClient(TwilioHttpClient):  # type: ignore[misc]
    """Twilio's own HTTP client, sent to a local address."""

    def __init__(self, base: str) -> None:
        super().__init__(timeout=TIMEOUT)
        self.base = base

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        return super().request(method, url.replace("https://api.twilio.com", self.base), *args, **kwargs)


def send_one(base: str) -> Any:
    client = Client(ACCOUNT, "token", http_client=LoopbackClient(base))
    return client.messages.create(to="+14155550142", from_="+14155550100", body="hello")


def failure_of_send(behave: Behaviour) -> Exception:
    with serving(behave) as base, pytest.raises(Exception) as caught:  # noqa: PT011  # any kind is the point
        send_one(base)
    assert isinstance(caught.value, Exception)
    return caught.value


# The network


@contextmanager
def no_such_host() -> Iterator[str]:
    yield "http://no-such-host.invalid"


@pytest.mark.parametrize("place", [nobody_listening, nobody_accepting, no_such_host])
def test_a_connection_that_never_stood_never_connected(place: Any) -> None:
    where: AbstractContextManager[str] = place()
    with where as address:
        error = failure_of_post(address)
    assert verdict_of_exception(error) == (TryOutcome.NEVER_CONNECTED, Fault.TRANSIENT)


def hanging(_: Any) -> None:
    """Take the connection and never answer."""


CREATED = b"HTTP/1.1 201 Created\r\n"
BROKEN_OFF = {
    "reset in the middle of the request": resetting_in_request,
    "reset after the request": resetting_after_request,
    "closed after the request": closing_after_request,
    "never answers": hanging,
    "answers nonsense": answering(b"\x00\x01\x02\r\n\r\n"),
    "body cut off": answering(CREATED + b"Content-Length: 100\r\n\r\n{"),
    "chunk cut off": answering(CREATED + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
    "chunk of no length": answering(CREATED + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab"),
    "body not what it says": answering(CREATED + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde"),
}


@pytest.mark.parametrize("behave", BROKEN_OFF.values(), ids=BROKEN_OFF.keys())
def test_whatever_breaks_once_the_connection_stands_is_lost(behave: Behaviour) -> None:
    with serving(behave) as address:
        error = failure_of_post(address)
    assert verdict_of_exception(error) == (TryOutcome.LOST, Fault.AMBIGUOUS)


def test_an_answer_that_stops_in_its_body_is_lost() -> None:
    def behave(connection: Any) -> None:
        connection.recv(65_536)
        connection.sendall(CREATED + b"Content-Length: 100\r\n\r\n{")  # and the rest never comes

    with serving(behave) as address:
        assert outcome_of_exception(failure_of_post(address)) is TryOutcome.LOST


def test_a_proxy_that_cannot_be_reached_never_connected() -> None:
    with nobody_listening() as proxy:
        for scheme in ("http", "https"):
            error = failure_of_post(f"{scheme}://api.example", proxies={scheme: proxy})
            assert outcome_of_exception(error) is TryOutcome.NEVER_CONNECTED


def test_a_proxy_that_drops_the_request_may_have_passed_it_on() -> None:
    with serving(resetting_after_request) as proxy:
        error = failure_of_post("http://api.example", proxies={"http": proxy})
    assert isinstance(error, requests.exceptions.ProxyError)
    assert outcome_of_exception(error) is TryOutcome.LOST


def test_a_failed_handshake_is_lost_but_a_refused_certificate_never_connected() -> None:
    with serving(answering(b"this is not TLS")) as address:
        error = failure_of_post(address.replace("http:", "https:"))
    assert isinstance(error, requests.exceptions.SSLError | requests.ConnectionError | requests.Timeout)
    assert outcome_of_exception(error) is TryOutcome.LOST
    refused = requests.exceptions.SSLError(ssl.SSLCertVerificationError(1, "certificate has expired"))
    assert outcome_of_exception(refused) is TryOutcome.NEVER_CONNECTED


@pytest.mark.parametrize("address", ["http://", "nonsense", "ftp://127.0.0.1/"])
def test_an_address_that_cannot_be_called_never_connected(address: str) -> None:
    assert outcome_of_exception(failure_of_post(address)) is TryOutcome.NEVER_CONNECTED


@pytest.mark.parametrize(
    "error",
    [
        OSError("anything"),
        TimeoutError(),
        ConnectionResetError(),
        RuntimeError(),
        json.JSONDecodeError("bad", "", 0),
        requests.JSONDecodeError("bad", "", 0),
        requests.RequestException(),
        requests.ConnectionError("a text, not a cause"),
        TwilioException("Unable to fetch page"),
    ],
)
def test_what_proves_nothing_is_lost(error: Exception) -> None:
    assert verdict_of_exception(error) == (TryOutcome.LOST, Fault.AMBIGUOUS)


def test_an_exception_that_names_itself_as_its_cause_ends_the_walk() -> None:
    error = requests.ConnectionError()
    error.args = (error,)
    assert outcome_of_exception(error) is TryOutcome.LOST


# Twilio's client


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (
            400,
            '{"code":21211,"message":"bad","more_info":"","status":400}',
            (TryOutcome.REFUSED_FOR_GOOD, Fault.RECIPIENT),
        ),
        (
            400,
            '{"code":21610,"message":"stop","more_info":"","status":400}',
            (TryOutcome.OPTED_OUT, Fault.OPT_OUT),
        ),
        (400, '{"code":"21610","message":"stop"}', (TryOutcome.OPTED_OUT, Fault.OPT_OUT)),
        (
            401,
            '{"code":20003,"message":"Authenticate","status":401}',
            (TryOutcome.REFUSED_FOR_GOOD, Fault.ACCOUNT),
        ),
        (429, '{"code":20429,"message":"slow down","status":429}', (TryOutcome.REFUSED_FOR_NOW, Fault.LIMIT)),
        (429, "", (TryOutcome.REFUSED_FOR_NOW, Fault.LIMIT)),
        (500, '{"code":20500,"message":"oops","status":500}', (TryOutcome.REFUSED_FOR_NOW, Fault.TRANSIENT)),
        (503, '{"code":20503,"message":"busy","status":503}', (TryOutcome.REFUSED_FOR_NOW, Fault.TRANSIENT)),
        (500, "<html>Internal Server Error</html>", (TryOutcome.LOST, Fault.AMBIGUOUS)),
        (502, "", (TryOutcome.LOST, Fault.AMBIGUOUS)),
        (503, '{"message":"upstream connect error"}', (TryOutcome.LOST, Fault.AMBIGUOUS)),
        (503, '{"code":"ServiceUnavailable"}', (TryOutcome.LOST, Fault.AMBIGUOUS)),
        (503, '{"code":null}', (TryOutcome.LOST, Fault.AMBIGUOUS)),
        (504, "[]", (TryOutcome.LOST, Fault.AMBIGUOUS)),
        (
            422,
            '{"type":"https://x","title":"Invalid","detail":"To"}',
            (TryOutcome.REFUSED_FOR_GOOD, Fault.CONTENT),
        ),
        (302, "", (TryOutcome.REFUSED_FOR_GOOD, Fault.ACCOUNT)),
        (
            400,
            '{"type":"https://x","title":"No","status":400,"code":21610}',
            (TryOutcome.OPTED_OUT, Fault.OPT_OUT),
        ),
        (
            503,
            '{"type":"https://x","title":"Busy","status":503,"code":20503}',
            (TryOutcome.REFUSED_FOR_NOW, Fault.TRANSIENT),
        ),
    ],
)
def test_an_answer_raised_by_twilios_client_is_judged_as_that_answer(
    status: int, body: str, verdict: tuple[TryOutcome, Fault]
) -> None:
    error = failure_of_send(answering_json(status, body))
    assert isinstance(error, TwilioRestException | TwilioServiceException)
    assert verdict_of_exception(error) == verdict


def test_a_success_that_cannot_be_read_is_lost() -> None:
    error = failure_of_send(answering(CREATED + b"\r\n<html>"))
    assert isinstance(error, ValueError)
    assert outcome_of_exception(error) is TryOutcome.LOST


@pytest.mark.parametrize("raw", [b"HTTP/1.1 201 Cre", CREATED + b"\r\n", CREATED + b"\r\n{}"])
def test_a_success_that_breaks_off_before_its_body_raises_nothing_and_is_lost(raw: bytes) -> None:
    with serving(answering(raw)) as base:
        created = send_one(base)
    assert created.sid is None
    assert outcome_of_sid(created.sid) is TryOutcome.LOST


def test_a_success_with_a_sid_is_accepted() -> None:
    with serving(answering_json(201, '{"sid":"SM0a0a","status":"queued"}')) as base:
        assert outcome_of_sid(send_one(base).sid) is TryOutcome.ACCEPTED


def test_twilios_client_lets_the_networks_exceptions_through() -> None:
    assert outcome_of_exception(failure_of_send(resetting_after_request)) is TryOutcome.LOST
    assert outcome_of_exception(failure_of_send(hanging)) is TryOutcome.LOST
