from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import AuthorizedSession
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials

from tests.sandbox.running import Receiver, RunningSandbox, specification

DOCTOR = "dr.lee@clinic.example"
SCOPES = ["https://www.googleapis.com/auth/calendar.events"]


def credentials(sandbox: RunningSandbox, grant: str = "refresh-1") -> Credentials:
    return Credentials(  # type: ignore[no-untyped-call]
        None,
        refresh_token=grant,
        token_uri=f"{sandbox.url}/google/token",
        client_id="client",
        client_secret="secret",
    )


def authorized(granted: Any) -> AuthorizedSession:
    return AuthorizedSession(granted, refresh_timeout=4)  # type: ignore[no-untyped-call]


@pytest.fixture
def google(sandbox: RunningSandbox) -> AuthorizedSession:
    """The real client: it fetches its own token."""
    return authorized(credentials(sandbox))


@pytest.fixture
def events(sandbox: RunningSandbox) -> str:
    return f"{sandbox.url}/google/calendar/v3/calendars/{DOCTOR}/events"


def visit(event_id: str | None = None, hour: int = 10, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "summary": "Booked visit",
        "start": {"dateTime": f"2026-11-24T{hour:02}:30:00", "timeZone": "America/Los_Angeles"},
        "end": {"dateTime": f"2026-11-24T{hour + 1:02}:00:00", "timeZone": "America/Los_Angeles"},
        **more,
    }
    return {**body, "id": event_id} if event_id else body


def test_the_real_client_gets_a_token_and_writes_an_event(google: AuthorizedSession, events: str) -> None:
    event_id = uuid4().hex
    stored = google.post(events, json=visit(event_id), timeout=5)
    assert stored.status_code == 200
    assert stored.json()["status"] == "confirmed"
    assert google.get(f"{events}/{event_id}", timeout=5).json()["etag"] == stored.json()["etag"]


def test_events_and_lists_have_only_members_google_documents(google: AuthorizedSession, events: str) -> None:
    document = specification("google_calendar_v3_discovery.json")
    if document is None:
        pytest.skip("Google's discovery document is not beside the repository.")
    event = google.post(events, json=visit(uuid4().hex), timeout=5).json()
    listed = google.get(events, timeout=5).json()
    assert set(event) <= set(document["schemas"]["Event"]["properties"])
    assert set(listed) <= set(document["schemas"]["Events"]["properties"])


def test_the_same_id_again_is_a_duplicate_in_googles_words(google: AuthorizedSession, events: str) -> None:
    event_id = uuid4().hex
    google.post(events, json=visit(event_id), timeout=5)
    again = google.post(events, json=visit(event_id), timeout=5)
    assert again.status_code == 409
    assert again.json() == {
        "error": {
            "errors": [
                {
                    "domain": "global",
                    "reason": "duplicate",
                    "message": "The requested identifier already exists.",
                }
            ],
            "code": 409,
            "message": "The requested identifier already exists.",
        }
    }


def test_a_token_not_issued_here_is_refused(sandbox: RunningSandbox, events: str) -> None:
    answer = requests.get(events, headers={"Authorization": "Bearer ya29.forged"}, timeout=5)
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (401, "authError")


def test_the_client_recovers_when_its_token_expires_early(
    sandbox: RunningSandbox, google: AuthorizedSession, events: str
) -> None:
    google.get(events, timeout=5)
    sandbox.control("/google/grants", {"expire_access_tokens": True})
    assert google.get(events, timeout=5).status_code == 200


def test_a_revoked_grant_is_told_as_invalid_grant(sandbox: RunningSandbox) -> None:
    sandbox.control("/google/grants", {"revoke": "refresh-1"})
    session = authorized(credentials(sandbox))
    with pytest.raises(RefreshError) as broken:
        session.get(f"{sandbox.url}/google/calendar/v3/calendars/primary/events", timeout=5)
    assert broken.value.args[1]["error"] == "invalid_grant"
    assert not broken.value.retryable
    sandbox.control("/google/grants", {"restore": "refresh-1"})
    assert session.get(f"{sandbox.url}/google/calendar/v3/calendars/primary/events", timeout=5).ok


def test_a_service_account_signs_itself_in(sandbox: RunningSandbox, events: str) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
        {
            "private_key": pem.decode(),
            "client_email": "bot@project.example",
            "token_uri": f"{sandbox.url}/google/token",
        },
        scopes=SCOPES,
    )
    stored = authorized(account).post(events, json=visit(), timeout=5)
    assert stored.json()["creator"]["email"] == "bot@project.example"


def test_consent_gives_a_code_that_pkce_protects(sandbox: RunningSandbox) -> None:
    verifier = "v" * 50
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "client_id": "client",
        "redirect_uri": "http://127.0.0.1:1/back",
        "response_type": "code",
        "scope": " ".join(SCOPES),
        "state": "s&1",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    page = requests.get(f"{sandbox.url}/google/auth", params={**asked, "state": '"><script>'}, timeout=5)
    assert page.status_code == 200
    assert "<script>" not in page.text
    form = {**asked, "choice": "allow", "email": DOCTOR}

    def code() -> str:
        agreed = requests.post(f"{sandbox.url}/google/auth", data=form, allow_redirects=False, timeout=5)
        query = parse_qs(urlsplit(agreed.headers["location"]).query)
        assert query["state"] == ["s&1"]
        return query["code"][0]

    exchange = {
        "grant_type": "authorization_code",
        "client_id": "client",
        "client_secret": "x",
        "redirect_uri": asked["redirect_uri"],
    }
    token_url = f"{sandbox.url}/google/token"
    wrong = requests.post(token_url, data={**exchange, "code": code(), "code_verifier": "w"}, timeout=5)
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    used = code()
    right = requests.post(token_url, data={**exchange, "code": used, "code_verifier": verifier}, timeout=5)
    assert right.json()["scope"] == " ".join(SCOPES)
    again = requests.post(token_url, data={**exchange, "code": used, "code_verifier": verifier}, timeout=5)
    assert again.status_code == 400
    session = authorized(credentials(sandbox, right.json()["refresh_token"]))
    listed = session.get(f"{sandbox.url}/google/calendar/v3/calendars/primary/events", timeout=5)
    assert listed.json()["summary"] == DOCTOR


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"summary": "no times"}, "required"),
        ({**visit(), "end": {"dateTime": "2026-11-24T09:00:00-08:00"}}, "timeRangeEmpty"),
        (visit("UPPER"), "invalid"),
        (visit("wxyz5"), "invalid"),
        ({**visit(), "start": {"dateTime": "yesterday"}}, "invalid"),
    ],
)
def test_an_event_google_would_refuse_is_refused(
    google: AuthorizedSession, events: str, body: dict[str, Any], reason: str
) -> None:
    answer = google.post(events, json=body, timeout=5)
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (400, reason)


def test_patch_merges_update_replaces_and_etags_guard(google: AuthorizedSession, events: str) -> None:
    event_id = uuid4().hex
    properties = {"private": {"appt": "a1", "tenant": "c1"}}
    first = google.post(events, json=visit(event_id, extendedProperties=properties), timeout=5).json()
    address = f"{events}/{event_id}"
    change = {"summary": "Moved", "extendedProperties": {"private": {"appt": "a2"}}}
    patched = google.patch(address, json=change, timeout=5).json()
    assert patched["extendedProperties"]["private"] == {"appt": "a2", "tenant": "c1"}
    stale = google.patch(address, json={"summary": "x"}, headers={"If-Match": first["etag"]}, timeout=5)
    assert stale.status_code == 412
    replaced = google.put(address, json=visit(hour=14), timeout=5).json()
    assert "extendedProperties" not in replaced
    assert (replaced["id"], replaced["sequence"]) == (event_id, 1)


def test_a_deleted_event_keeps_its_id_and_is_seen_as_cancelled(
    google: AuthorizedSession, events: str
) -> None:
    event_id = uuid4().hex
    google.post(events, json=visit(event_id), timeout=5)
    address = f"{events}/{event_id}"
    assert google.delete(address, timeout=5).status_code == 204
    assert google.delete(address, timeout=5).status_code == 410
    assert google.get(address, timeout=5).json()["status"] == "cancelled"
    assert google.post(events, json=visit(event_id), timeout=5).status_code == 409
    assert google.patch(address, json={"status": "confirmed"}, timeout=5).json()["status"] == "confirmed"


def test_events_are_found_by_their_private_property_and_time(google: AuthorizedSession, events: str) -> None:
    properties = {"private": {"appt": "a1"}}
    mine = google.post(events, json=visit(extendedProperties=properties), timeout=5).json()["id"]
    google.post(events, json=visit(hour=15), timeout=5)

    def ids(**query: str) -> list[str]:
        return [one["id"] for one in google.get(events, params=query, timeout=5).json()["items"]]

    assert ids(privateExtendedProperty="appt=a1") == [mine]
    assert ids(timeMin="2026-11-24T10:00:00-08:00", timeMax="2026-11-24T12:00:00-08:00") == [mine]
    assert ids(timeMin="2026-11-24T11:00:00-08:00", timeMax="2026-11-24T12:00:00-08:00") == []


def pages(google: AuthorizedSession, events: str, **query: Any) -> tuple[list[dict[str, Any]], str]:
    """All items and the sync token at the end."""
    found: list[dict[str, Any]] = []
    while True:
        answer = google.get(events, params=query, timeout=5).json()
        found += answer["items"]
        if "nextSyncToken" in answer:
            return found, answer["nextSyncToken"]
        query["pageToken"] = answer["nextPageToken"]


def test_a_sync_token_brings_only_what_changed_deletions_too(
    sandbox: RunningSandbox, google: AuthorizedSession, events: str
) -> None:
    ids = [google.post(events, json=visit(hour=8 + n), timeout=5).json()["id"] for n in range(5)]
    found, token = pages(google, events, maxResults=2)
    assert sorted(one["id"] for one in found) == sorted(ids)
    assert pages(google, events, syncToken=token)[0] == []
    google.delete(f"{events}/{ids[0]}", timeout=5)
    sandbox.control("/google/events", {"calendar": DOCTOR, "event": {"id": ids[1], "summary": "Moved"}})
    changed, _ = pages(google, events, syncToken=token)
    assert {(one["id"], one["status"]) for one in changed} == {(ids[0], "cancelled"), (ids[1], "confirmed")}


def test_a_sync_token_that_expired_or_is_mixed_is_refused(
    sandbox: RunningSandbox, google: AuthorizedSession, events: str
) -> None:
    google.post(events, json=visit(), timeout=5)
    _, token = pages(google, events)
    mixed = google.get(events, params={"syncToken": token, "orderBy": "startTime"}, timeout=5)
    assert mixed.status_code == 400
    sandbox.control("/google/expire-sync-tokens", {})
    expired = google.get(events, params={"syncToken": token}, timeout=5)
    assert (expired.status_code, expired.json()["error"]["errors"][0]["reason"]) == (410, "fullSyncRequired")
    _, fresh = pages(google, events)
    assert pages(google, events, syncToken=fresh)[0] == []


def free_busy(google: AuthorizedSession, sandbox: RunningSandbox, *calendars: str) -> dict[str, Any]:
    body = {
        "timeMin": "2026-11-24T08:00:00-08:00",
        "timeMax": "2026-11-24T18:00:00-08:00",
        "timeZone": "America/Los_Angeles",
        "items": [{"id": calendar} for calendar in calendars],
    }
    answer = google.post(f"{sandbox.url}/google/calendar/v3/freeBusy", json=body, timeout=5)
    return dict(answer.json()["calendars"])


def test_free_busy_merges_the_living_opaque_events(
    sandbox: RunningSandbox, google: AuthorizedSession, events: str
) -> None:
    google.post(events, json=visit(hour=10), timeout=5)
    overlapping = {
        "start": {"dateTime": "2026-11-24T18:45:00Z"},
        "end": {"dateTime": "2026-11-24T19:30:00Z"},
    }
    google.post(events, json=overlapping, timeout=5)
    google.post(events, json=visit(hour=14, transparency="transparent"), timeout=5)
    gone = google.post(events, json=visit(hour=16), timeout=5).json()["id"]
    google.delete(f"{events}/{gone}", timeout=5)
    assert free_busy(google, sandbox, DOCTOR)[DOCTOR]["busy"] == [
        {"start": "2026-11-24T10:30:00-08:00", "end": "2026-11-24T11:30:00-08:00"}
    ]


def test_a_calendar_that_cannot_be_read_says_so_inside_a_good_answer(
    sandbox: RunningSandbox, google: AuthorizedSession
) -> None:
    sandbox.control("/google/calendars", {"id": "gone@clinic.example", "fault": "missing"})
    sandbox.control("/google/calendars", {"id": DOCTOR, "freebusy_error": "internalError"})
    answer = free_busy(google, sandbox, "gone@clinic.example", DOCTOR)
    assert answer["gone@clinic.example"]["errors"] == [{"domain": "global", "reason": "notFound"}]
    assert answer[DOCTOR]["errors"][0]["reason"] == "internalError"
    missing = f"{sandbox.url}/google/calendar/v3/calendars/gone@clinic.example/events"
    assert google.get(missing, timeout=5).status_code == 404


def test_a_channel_is_told_first_sync_then_every_change_until_it_is_stopped(
    sandbox: RunningSandbox, google: AuthorizedSession, events: str, receiver: Receiver
) -> None:
    wanted = {"id": str(uuid4()), "type": "web_hook", "address": f"{receiver.url}/push", "token": "t-1"}
    channel = google.post(f"{events}/watch", json=wanted, timeout=5).json()
    sandbox.wait_for(lambda: receiver.at("/push"))
    google.post(events, json=visit(), timeout=5)
    told = sandbox.wait_for(lambda: len(receiver.at("/push")) == 2 and receiver.at("/push"))
    assert [one.headers["x-goog-resource-state"] for one in told] == ["sync", "exists"]
    assert [one.headers["x-goog-message-number"] for one in told] == ["1", "2"]
    assert {one.headers["x-goog-channel-token"] for one in told} == {"t-1"}
    assert [one.body for one in told] == [b"", b""]
    stop = {"id": wanted["id"], "resourceId": channel["resourceId"]}
    stop_url = f"{sandbox.url}/google/calendar/v3/channels/stop"
    assert google.post(stop_url, json=stop, timeout=5).status_code == 204
    google.post(events, json=visit(hour=12), timeout=5)
    assert google.post(stop_url, json=stop, timeout=5).status_code == 404
    assert len(receiver.at("/push")) == 2


def test_an_insert_whose_answer_was_lost_is_found_by_its_id(
    sandbox: RunningSandbox, google: AuthorizedSession, events: str
) -> None:
    google.get(events, timeout=5)
    sandbox.fault(
        "accepted_then_lost", service="google", match={"method": "POST", "path": "/events"}, count=1
    )
    event_id = uuid4().hex
    with pytest.raises(requests.ConnectionError):
        google.post(events, json=visit(event_id), timeout=5)
    assert google.get(f"{events}/{event_id}", timeout=5).status_code == 200
    assert len(sandbox.control(f"/google/events?calendar={DOCTOR}")) == 1


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        ({"kind": "rate_limited"}, 429, "rateLimitExceeded"),
        (
            {"kind": "rate_limited", "status": 403, "reason": "userRateLimitExceeded"},
            403,
            "userRateLimitExceeded",
        ),
        ({"kind": "refused_permanent"}, 403, "forbidden"),
        ({"kind": "server_error_with_body"}, 503, "backendError"),
    ],
)
def test_googles_refusals_have_its_reasons(
    sandbox: RunningSandbox,
    google: AuthorizedSession,
    events: str,
    fault: dict[str, Any],
    status: int,
    reason: str,
) -> None:
    google.get(events, timeout=5)
    sandbox.control("/faults", {"service": "google", "match": {"path": "/events"}, **fault})
    answer = google.get(events, timeout=5)
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (status, reason)


def test_what_a_person_writes_is_an_event_like_any_other(
    sandbox: RunningSandbox, google: AuthorizedSession, events: str
) -> None:
    _, token = pages(google, events)
    day = {"summary": "Holiday", "start": {"date": "2026-11-25"}, "end": {"date": "2026-11-26"}}
    written = sandbox.control("/google/events", {"calendar": DOCTOR, "event": day})
    assert [one["id"] for one in pages(google, events, syncToken=token)[0]] == [written["id"]]
    sandbox.control(f"/google/events?calendar={DOCTOR}&id={written['id']}", method="DELETE")
    assert google.get(events, timeout=5).json()["items"] == []
