"""Who may use the booking API: tokens that hold, and every way in which one may not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from telephony.api import signing_keys
from telephony.api.signing_keys import KeyRing, UnusableKeys, fetched
from tests.clinics import Clinic
from tests.telephony.booking_api import Partner, bearer, claims, token
from tests.telephony.rows import row_counts

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SMALL_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  (must be refused)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
EC_384_KEY = ec.generate_private_key(ec.SECP384R1())


def listed(key: Any, key_id: str, **more: Any) -> dict[str, Any]:
    """A public key as an issuer lists it (RFC 7517)."""
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    public: dict[str, Any] = json.loads(algorithm.to_jwk(key.public_key()))
    return {**public, "kid": key_id, "use": "sig", **more}


def pem(key: Any) -> bytes:
    public: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return public


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def by_hand(header: object, body: object, secret: bytes = b"") -> str:
    """A token that no library would make: HMAC-SHA256 over whatever header and claims."""
    signed = f"{part(header)}.{part(body)}"
    seal = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(seal).rstrip(b'=').decode()}"


@pytest.fixture
def partner(elm: Clinic) -> Partner:
    return Partner(elm)


def refused(partner: Partner, text: str) -> tuple[int, str]:
    """How the token is refused; nothing is written."""
    before = row_counts()
    answer = Partner(partner.clinic, credential=bearer(text)).book()
    assert row_counts() == before
    return answer.status, answer.code


UNAUTHORIZED = (401, "unauthorized")
FORBIDDEN = (403, "forbidden")


# Signed with the secret


def test_a_good_token_books(partner: Partner) -> None:
    assert partner.book().status == 201


def test_without_a_token_there_is_no_booking(partner: Partner) -> None:
    for headers in ({"X-Nothing": "1"}, {"Authorization": ""}, {"Authorization": "Basic ZGFuYTpydWl6"}):
        answer = Partner(partner.clinic, credential=headers).book()
        assert (answer.status, answer.code) == UNAUTHORIZED
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": "99999999999"},
        {"exp": True},
        {"exp": []},
        {"nbf": 99999999999},
        {"nbf": "later"},
        {"aud": "somebody-else"},
        {"aud": ["somebody-else"]},
        {"aud": None},
        {"aud": ""},
        {"aud": {}},
        {"aud": 7},
        {"sub": 7},
    ],
)
def test_a_token_whose_claims_do_not_hold_is_refused(partner: Partner, changes: dict[str, Any]) -> None:
    text = by_hand({"alg": "HS256", "typ": "JWT"}, claims(partner.clinic, **changes), secret())
    assert refused(partner, text) == UNAUTHORIZED


def secret() -> bytes:
    from django.conf import settings

    return str(settings.JWT_SECRET).encode()


def test_a_token_expires_on_the_second(partner: Partner) -> None:
    assert refused(partner, token(partner.clinic, exp=int(time.time()))) == UNAUTHORIZED


@pytest.mark.parametrize(
    "changes",
    [{"aud": ["voxanne", "others"]}, {"sub": None}, {"nbf": 1}, {"iat": 99999999999}, {"iss": "anybody"}],
)
def test_a_token_may_say_more_or_less(partner: Partner, changes: dict[str, Any]) -> None:
    assert Partner(partner.clinic, credential=bearer(token(partner.clinic, **changes))).book().status == 201


@pytest.mark.parametrize(
    "org_id",
    [None, "", "elm-street", "00000000-0000-0000-0000-000000000000", 7, [], {"$ne": None}, True, "x" * 500],
)
def test_a_token_for_no_clinic_is_forbidden(partner: Partner, org_id: Any) -> None:
    text = by_hand({"alg": "HS256"}, claims(partner.clinic, org_id=org_id), secret())
    assert refused(partner, text) == FORBIDDEN


def test_a_token_opens_its_own_clinic_alone(partner: Partner, oak: Clinic) -> None:
    for_oak = bearer(token(oak))
    answer = Partner(partner.clinic, credential=for_oak).book()
    assert (answer.status, answer.code) == (404, "unknown_provider")


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "", "HS384", "HS512", "PS256", "EdDSA", "ES384", "RS512"]
)
def test_no_other_algorithm_counts(partner: Partner, algorithm: str) -> None:
    text = by_hand({"alg": algorithm}, claims(partner.clinic), secret())
    assert refused(partner, text) == UNAUTHORIZED
    unsigned = text.rpartition(".")[0] + "."
    assert refused(partner, unsigned) == UNAUTHORIZED


def test_another_secret_does_not_count(partner: Partner, settings: Any) -> None:
    assert (
        refused(partner, token(partner.clinic, secret="another secret of at least 32 bytes")) == UNAUTHORIZED
    )
    good = token(partner.clinic)
    settings.JWT_SECRET = "a new secret that is at least 32 bytes long"
    assert refused(partner, good) == UNAUTHORIZED


def test_no_secret_lets_nobody_in(partner: Partner, settings: Any) -> None:
    settings.JWT_SECRET = ""
    assert refused(partner, by_hand({"alg": "HS256"}, claims(partner.clinic), b"")) == UNAUTHORIZED


ODD_HEADERS: list[object] = [
    [], "HS256", {"alg": ["HS256"]}, {"alg": None}, {"alg": "HS256", "crit": ["x"], "x": 1},
    {"alg": "HS256", "kid": {"a": 1}},
]  # fmt: skip
NO_TOKENS = [
    "x", "a.b", "a.b.c", "..", "a.b.c.d", "é.é.é", "x" * 9000, "eyJ.eyJ.", "%00.%00.%00",
    *(f"{part(header)}.{part({})}.AA" for header in ODD_HEADERS),
]  # fmt: skip


@pytest.mark.parametrize("text", NO_TOKENS)
def test_what_is_no_token_is_refused(partner: Partner, text: str) -> None:
    assert refused(partner, text) == UNAUTHORIZED


def test_claims_that_are_no_object_are_refused(partner: Partner) -> None:
    nothings: list[object] = [[], "claims", 7, None, [[[]]]]
    for body in nothings:
        assert refused(partner, by_hand({"alg": "HS256"}, body, secret())) == UNAUTHORIZED


# Signed with a published key


@pytest.fixture
def issuer(httpserver: HTTPServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    """An issuer whose set holds one key of each kind; the ring has fetched it, as it does when the server starts."""
    keys = [listed(RSA_KEY, "rsa-1", alg="RS256"), listed(EC_KEY, "ec-1")]
    httpserver.expect_request("/keys").respond_with_json({"keys": keys})
    settings.JWT_JWKS_URL = httpserver.url_for("/keys")
    monkeypatch.setattr(KeyRing, "begin", lambda _: None)
    signing_keys.key_ring().refresh()
    yield httpserver
    signing_keys._ring = None


def signed(partner: Partner, key: Any, algorithm: str, key_id: str | None, **changes: Any) -> str:
    headers = {"kid": key_id} if key_id is not None else {}
    return jwt.encode(claims(partner.clinic, **changes), key, algorithm=algorithm, headers=headers)


@pytest.mark.parametrize(
    ("key", "algorithm", "key_id"), [(RSA_KEY, "RS256", "rsa-1"), (EC_KEY, "ES256", "ec-1")]
)
@pytest.mark.usefixtures("issuer")
def test_a_token_signed_by_the_issuer_books(partner: Partner, key: Any, algorithm: str, key_id: str) -> None:
    text = signed(partner, key, algorithm, key_id)
    assert Partner(partner.clinic, credential=bearer(text)).book().status == 201


@pytest.mark.usefixtures("issuer")
def test_a_wrong_missing_or_foreign_key_id_is_refused(partner: Partner) -> None:
    for key_id in ("rsa-2", "ec-1", "", None):
        assert refused(partner, signed(partner, RSA_KEY, "RS256", key_id)) == UNAUTHORIZED
    assert refused(partner, signed(partner, OTHER_RSA_KEY, "RS256", "rsa-1")) == UNAUTHORIZED


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
@pytest.mark.usefixtures("issuer")
def test_the_issuers_key_counts_for_its_own_algorithm_alone(partner: Partner, algorithm: str) -> None:
    assert refused(partner, signed(partner, RSA_KEY, algorithm, "rsa-1")) == UNAUTHORIZED


@pytest.mark.usefixtures("issuer")
def test_a_published_key_is_no_shared_secret(partner: Partner) -> None:
    """The oldest trick: HMAC with the public key, which everybody knows, as its secret (RFC 8725, section 2.1)."""
    for key in (RSA_KEY, EC_KEY):
        for written in (pem(key), pem(key).strip(), json.dumps(listed(key, "rsa-1")).encode()):
            for key_id in ("rsa-1", "ec-1"):
                text = by_hand({"alg": "HS256", "kid": key_id}, claims(partner.clinic), written)
                assert refused(partner, text) == UNAUTHORIZED


@pytest.mark.usefixtures("issuer")
def test_a_key_that_a_token_brings_along_is_not_used(partner: Partner) -> None:
    headers = {"kid": "rsa-1", "jwk": listed(OTHER_RSA_KEY, "rsa-1"), "jku": "http://127.0.0.1/keys"}
    text = jwt.encode(claims(partner.clinic), OTHER_RSA_KEY, algorithm="RS256", headers=headers)
    assert refused(partner, text) == UNAUTHORIZED


@pytest.mark.usefixtures("issuer")
def test_an_issuers_token_is_held_to_the_same_claims(partner: Partner) -> None:
    for changes in ({"exp": 1}, {"exp": None}, {"aud": "others"}, {"nbf": 99999999999}):
        assert refused(partner, signed(partner, RSA_KEY, "RS256", "rsa-1", **changes)) == UNAUTHORIZED


def test_without_an_issuer_published_keys_do_not_count(partner: Partner, settings: Any) -> None:
    settings.JWT_JWKS_URL = ""
    assert refused(partner, signed(partner, RSA_KEY, "RS256", "rsa-1")) == UNAUTHORIZED


def test_no_request_waits_for_the_issuer(partner: Partner, settings: Any) -> None:
    """Nobody listens there: the answer is that the keys cannot be had, and it is given at once."""
    settings.JWT_JWKS_URL = "http://127.0.0.1:1/keys"
    began = time.perf_counter()
    answer = Partner(partner.clinic, credential=bearer(signed(partner, RSA_KEY, "RS256", "rsa-1"))).book()
    assert (answer.status, answer.code) == (503, "keys_unavailable")
    assert answer.headers["Retry-After"]
    assert time.perf_counter() - began < 1.0
    signing_keys.key_ring().end()
    signing_keys._ring = None


def test_the_set_is_fetched_in_the_background(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/background").respond_with_json({"keys": [listed(EC_KEY, "ec-1")]})
    ring = KeyRing(httpserver.url_for("/background"))
    ring.begin()
    deadline = time.monotonic() + 10
    found = None
    while found is None and time.monotonic() < deadline:
        try:
            found = ring.key("ec-1", "ES256")
        except signing_keys.KeysUnavailable:
            time.sleep(0.02)
    ring.end()
    assert found is not None


def ring_that_is_told(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, *answers: tuple[int, str]
) -> KeyRing:
    """A ring without its thread, which has fetched each of these answers in turn."""
    monkeypatch.setattr(KeyRing, "begin", lambda _: None)
    left = iter(answers)

    def answer(_: Request) -> Response:
        status, body = next(left)
        return Response(body, status=status, headers={"Location": "/elsewhere"})

    httpserver.expect_request("/in-turn").respond_with_handler(answer)
    ring = KeyRing(httpserver.url_for("/in-turn"))
    for _ in answers:
        ring.refresh()
    return ring


def published(*keys: Any) -> tuple[int, str]:
    return 200, json.dumps({"keys": keys})


@pytest.mark.parametrize("status", [200, 302, 404, 500])
def test_the_last_good_set_stays_when_the_issuer_falters(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    ring = ring_that_is_told(httpserver, monkeypatch, published(listed(EC_KEY, "ec-1")), (status, "<html>"))
    assert ring.key("ec-1", "ES256") is not None


def test_a_key_that_was_withdrawn_counts_no_more(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = [published(listed(EC_KEY, key_id)) for key_id in ("ec-1", "ec-2")]
    ring = ring_that_is_told(httpserver, monkeypatch, *sets)
    assert ring.key("ec-1", "ES256") is None
    assert ring.key("ec-2", "ES256") is not None


def test_a_key_counts_for_its_own_algorithm_alone(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = ring_that_is_told(httpserver, monkeypatch, published(listed(EC_KEY, "ec-1")))
    assert ring.key("ec-1", "RS256") is None


UNUSABLE: list[Any] = [
    None, 7, [], {}, {"keys": None}, {"keys": []}, {"keys": {}}, {"keys": [None, 7, "x", []]},
    {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"}]},
    {"keys": [listed(SMALL_RSA_KEY, "a")]}, {"keys": [listed(EC_384_KEY, "a")]},
    {"keys": [listed(RSA_KEY, "a", use="enc")]}, {"keys": [listed(RSA_KEY, "a", alg="PS256")]},
    {"keys": [{**listed(RSA_KEY, "a"), "n": "!!"}]}, {"keys": [{**listed(RSA_KEY, "a"), "n": 7}]},
    {"keys": [{**listed(RSA_KEY, "a"), "kid": None}]}, {"keys": [{**listed(EC_KEY, "a"), "x": "AA"}]},
    {"keys": [listed(RSA_KEY, "a", padding="x" * 300_000)]},
]  # fmt: skip


@pytest.mark.parametrize("answer", UNUSABLE, ids=[str(number) for number in range(len(UNUSABLE))])
def test_a_set_without_a_key_of_ours_is_no_set(httpserver: HTTPServer, answer: Any) -> None:
    httpserver.expect_request("/keys").respond_with_json(answer)
    with pytest.raises(UnusableKeys):
        fetched(httpserver.url_for("/keys"))


def test_odd_keys_do_not_spoil_the_others(httpserver: HTTPServer) -> None:
    odd = [key for answer in UNUSABLE if isinstance(answer, dict) for key in (answer.get("keys") or [])][:-1]
    httpserver.expect_request("/keys").respond_with_json({"keys": [*odd, listed(EC_KEY, "good")]})
    assert set(fetched(httpserver.url_for("/keys"))) == {("good", "ES256")}
