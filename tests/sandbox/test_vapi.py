from __future__ import annotations

import io
import wave
from typing import Any

import jsonschema
import pytest
import requests

from tests.sandbox.running import PATIENT, RunningSandbox, specification

TOOL = {
    "type": "function",
    "function": {
        "name": "checkAvailability",
        "description": "Free times of a day",
        "parameters": {"type": "object", "properties": {"date": {"type": "string"}}, "required": ["date"]},
    },
    "server": {"url": "https://clinic.example/api/vapi/tools", "timeoutSeconds": 15},
}


class Vapi:
    """A plain HTTP client of the sandbox's Vapi, as the product has one."""

    def __init__(self, url: str, key: str = "private-key") -> None:
        self.url = f"{url}/vapi"
        self.headers = {"Authorization": f"Bearer {key}"}

    def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> requests.Response:
        return requests.request(
            method, self.url + path, json=body, params=query, headers=self.headers, timeout=5
        )


@pytest.fixture
def vapi(sandbox: RunningSandbox) -> Vapi:
    return Vapi(sandbox.url)


def normalised(part: Any) -> Any:
    """The document's known defects mended: slashes round patterns, enums on arrays, ``nullable``."""
    if isinstance(part, list):
        return [normalised(item) for item in part]
    if not isinstance(part, dict):
        return part
    new = {key: normalised(value) for key, value in part.items() if key != "nullable"}
    pattern = new.get("pattern")
    if isinstance(pattern, str) and pattern.startswith("/") and pattern.endswith("/"):
        new["pattern"] = pattern[1:-1]
    if new.get("type") == "array":
        new.pop("enum", None)
    if part.get("nullable") and isinstance(new.get("type"), str):
        new["type"] = [new["type"], "null"]
    return new


@pytest.fixture(scope="module")
def vapi_document() -> Any:
    document = specification("vapi_openapi_cut.json")
    if document is None:
        pytest.skip("Vapi's specification is not beside the repository.")
    return normalised(document)


def validate(document: Any, name: str, value: Any) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


def test_a_tool_is_made_read_changed_listed_and_deleted(vapi: Vapi) -> None:
    made = vapi("POST", "/tool", TOOL)
    assert made.status_code == 201
    address = f"/tool/{made.json()['id']}"
    assert vapi("GET", address).json() == made.json()
    changed = vapi("PATCH", address, {"server": {"url": "https://other.example"}}).json()
    assert changed["server"] == {"url": "https://other.example"}
    assert changed["function"] == TOOL["function"]
    assert [tool["id"] for tool in vapi("GET", "/tool").json()] == [made.json()["id"]]
    assert vapi("DELETE", address).json()["id"] == made.json()["id"]
    assert vapi("GET", address).status_code == 404


def test_a_tool_is_valid_in_vapis_own_specification(vapi: Vapi, vapi_document: Any) -> None:
    validate(vapi_document, "FunctionTool", vapi("POST", "/tool", TOOL).json())


def test_an_assistant_is_valid_in_vapis_own_specification(vapi: Vapi, vapi_document: Any) -> None:
    body = {"name": "Reception", "model": {"provider": "openai", "model": "gpt-4.1", "toolIds": []}}
    validate(vapi_document, "Assistant", vapi("POST", "/assistant", body).json())


def test_patching_an_assistant_replaces_its_model_whole(vapi: Vapi) -> None:
    model = {
        "provider": "openai",
        "model": "gpt-4.1",
        "messages": [{"role": "system", "content": "Be kind."}],
    }
    made = vapi("POST", "/assistant", {"name": "Reception", "model": model}).json()
    changed = vapi("PATCH", f"/assistant/{made['id']}", {"model": {"toolIds": ["t1"]}}).json()
    assert changed["model"] == {"toolIds": ["t1"]}
    assert changed["name"] == "Reception"


def test_a_wrong_key_is_refused_in_vapis_words(sandbox: RunningSandbox) -> None:
    sandbox.control("/vapi/keys", {"keys": ["right"]})
    refused = Vapi(sandbox.url, "public-key")("GET", "/tool")
    assert refused.status_code == 401
    assert (refused.json()["error"], refused.json()["statusCode"]) == ("Unauthorized", 401)
    assert Vapi(sandbox.url, "right")("GET", "/tool").status_code == 200
    assert requests.get(f"{sandbox.url}/vapi/tool", timeout=5).status_code == 401


@pytest.mark.parametrize(
    ("path", "body", "fault"),
    [
        ("/tool", {"type": "function", "function": {"name": "not a name"}}, "function.name"),
        ("/tool", {"function": {"name": "x"}}, "type"),
        ("/tool", {**TOOL, "server": {"url": "https://a", "timeoutSeconds": 301}}, "timeoutSeconds"),
        ("/tool", {**TOOL, "server": {"url": "https://a", "secret": "s"}}, "secret"),
        ("/assistant", {"name": "n" * 41}, "name"),
        ("/phone-number", {"number": "+14155550100"}, "provider"),
    ],
)
def test_what_vapi_would_refuse_is_refused_with_every_fault(
    vapi: Vapi, path: str, body: dict[str, Any], fault: str
) -> None:
    answer = vapi("POST", path, body)
    assert (answer.status_code, answer.json()["error"]) == (400, "Bad Request")
    assert any(fault in sentence for sentence in answer.json()["message"])


def test_lists_are_newest_first_and_paged_by_creation(vapi: Vapi) -> None:
    ids = [vapi("POST", "/assistant", {"name": f"A{place}"}).json()["id"] for place in range(3)]
    newest = vapi("GET", "/assistant", limit=1).json()[0]
    assert newest["id"] == ids[2]
    older = vapi("GET", "/assistant", createdAtLt=newest["createdAt"]).json()
    assert newest["id"] not in [one["id"] for one in older]
    assert vapi("GET", "/assistant", limit=1001).status_code == 400


def test_a_pinned_tool_cannot_be_deleted(vapi: Vapi) -> None:
    tool = vapi("POST", "/tool", TOOL).json()["id"]
    vapi("POST", "/assistant", {"model": {"toolRefs": [{"toolId": tool}]}})
    refused = vapi("DELETE", f"/tool/{tool}")
    assert (refused.status_code, refused.json()["error"]) == (409, "tool_pinned")


def test_control_commands_are_kept_until_the_call_has_ended(sandbox: RunningSandbox) -> None:
    call = sandbox.control("/vapi/calls", {"id": "call-9", "customer": {"number": PATIENT}})
    address = call["monitor"]["controlUrl"]
    assert address == f"{sandbox.url}/vapi/control/call-9"
    say = {"type": "say", "content": "One moment."}
    transfer = {"type": "transfer", "destination": {"type": "number", "number": "+14155550199"}}
    for command in (say, transfer, {"type": "end-call"}):
        assert requests.post(address, json=command, timeout=5).status_code == 200
    assert requests.post(address, json=say, timeout=5).status_code == 410
    assert requests.post(f"{address}-unknown", json=say, timeout=5).status_code == 404
    commands = sandbox.control("/vapi/commands?call=call-9")
    assert [command["type"] for command in commands] == ["say", "transfer", "end-call"]
    assert sandbox.control("/vapi/calls/call-9")["status"] == "ended"


def test_a_command_of_no_known_type_is_refused(sandbox: RunningSandbox) -> None:
    call = sandbox.control("/vapi/calls", {"id": "call-9"})
    answer = requests.post(call["monitor"]["controlUrl"], json={"type": "sing"}, timeout=5)
    assert answer.status_code == 400
    assert sandbox.control("/vapi/commands") == []


def test_a_calls_timeline_grows_in_order(sandbox: RunningSandbox) -> None:
    sandbox.control("/vapi/calls", {"id": "call-9", "status": "in-progress"})
    for kind in ("call in", "slots", "booked"):
        sandbox.control("/vapi/calls/call-9/events", {"type": kind, "role": "tool", "text": kind})
    sandbox.control("/vapi/calls", {"id": "call-9", "status": "ended"})
    call = sandbox.control("/vapi/calls/call-9")
    assert [event["type"] for event in call["events"]] == ["call in", "slots", "booked"]
    assert call["status"] == "ended"
    assert all(event["at"].endswith("Z") for event in call["events"])


def test_slack_keeps_what_is_posted_and_words_refusals_its_own_way(sandbox: RunningSandbox) -> None:
    address = f"{sandbox.url}/slack/api/chat.postMessage"
    headers = {"Authorization": "Bearer xoxb-1"}
    posted = requests.post(address, json={"channel": "#alerts", "text": "Late"}, headers=headers, timeout=5)
    assert posted.json()["ok"] is True
    refused = requests.post(address, json={"channel": "#alerts", "text": "Late"}, timeout=5)
    assert (refused.status_code, refused.json()) == (200, {"ok": False, "error": "not_authed"})
    assert [message["text"] for message in sandbox.control("/slack/messages")] == ["Late"]
    sandbox.fault("rate_limited", service="slack", retry_after=3)
    limited = requests.post(address, json={"channel": "#a", "text": "x"}, headers=headers, timeout=5)
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "3")


def test_a_recording_is_had_with_a_key_once_the_call_has_ended(sandbox: RunningSandbox, vapi: Vapi) -> None:
    address = f"{sandbox.url}/vapi/call/c1/mono-recording"
    sandbox.control("/vapi/calls", {"id": "c1", "recordingSeconds": 0.5})
    assert vapi("GET", "/call/c1/mono-recording").status_code == 404
    sandbox.control("/vapi/calls", {"id": "c1", "status": "ended"})
    assert requests.get(address, timeout=5).status_code == 401
    answer = requests.get(address, headers=vapi.headers, timeout=5, allow_redirects=False)
    assert answer.status_code == 302
    heard = requests.get(answer.headers["Location"], timeout=5)
    assert heard.headers["Content-Type"] == "audio/wav"
    with wave.open(io.BytesIO(heard.content)) as file:
        assert (file.getnchannels(), file.getnframes() / file.getframerate()) == (1, 0.5)
    assert vapi("GET", "/call/nobodys/mono-recording").status_code == 404
