from __future__ import annotations

from typing import Any

import pytest

from telephony.vapi import rest
from telephony.vapi.rest import Vapi, VapiFault
from tests.sandbox.running import RunningSandbox, free_port
from tests.toolchain.at_vapi import AtVapi

TOOL = {"type": "function", "function": {"name": "endCall"}, "server": {"url": "https://x.example"}}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "FIRST_WAIT_SECONDS", 0.01)


def asked(sandbox: RunningSandbox, method: str) -> int:
    return sum(one["method"] == method for one in sandbox.control("/requests?service=vapi&limit=100"))


@pytest.mark.parametrize("kind", ["server_error", "rate_limited", "connection_reset"])
def test_reading_is_tried_again_while_vapi_fails(at_vapi: AtVapi, kind: str) -> None:
    at_vapi.sandbox.fault(kind, "vapi", count=2)
    assert Vapi().every("tool") == []
    assert asked(at_vapi.sandbox, "GET") == 3


def test_changing_is_tried_again_while_vapi_fails(at_vapi: AtVapi) -> None:
    made = Vapi().create("tool", TOOL)
    at_vapi.sandbox.fault("server_error", "vapi", count=2)
    changed = Vapi().change("tool", made["id"], {"async": True})
    assert changed["async"] is True
    assert asked(at_vapi.sandbox, "PATCH") == 3


@pytest.mark.parametrize("kind", ["server_error", "rate_limited", "connection_reset", "accepted_then_lost"])
def test_making_is_never_tried_again(at_vapi: AtVapi, kind: str) -> None:
    at_vapi.sandbox.fault(kind, "vapi", count=1)
    with pytest.raises(VapiFault) as caught:
        Vapi().create("tool", TOOL)
    assert asked(at_vapi.sandbox, "POST") == 1
    assert caught.value.outage
    # Only a refusal for its rate is known to have made nothing.
    assert caught.value.unsure is (kind != "rate_limited")


def test_trying_again_comes_to_an_end(at_vapi: AtVapi) -> None:
    at_vapi.sandbox.fault("server_error", "vapi")
    with pytest.raises(VapiFault, match="503") as caught:
        Vapi().every("tool")
    assert caught.value.outage
    assert asked(at_vapi.sandbox, "GET") == rest.MOST_TRIES


def test_a_refusal_is_told_in_vapis_own_words_and_not_repeated(at_vapi: AtVapi) -> None:
    with pytest.raises(VapiFault, match="name must be shorter") as caught:
        Vapi().create("assistant", {"name": "x" * 41})
    assert (caught.value.status, caught.value.outage, caught.value.unsure) == (400, False, False)


def test_a_wrong_key_is_a_refusal(at_vapi: AtVapi) -> None:
    at_vapi.sandbox.control("/vapi/keys", {"keys": ["another"]})
    with pytest.raises(VapiFault, match="401"):
        Vapi().every("tool")
    assert asked(at_vapi.sandbox, "GET") == 1


def test_without_a_key_nothing_is_asked(at_vapi: AtVapi, settings: Any) -> None:
    settings.VAPI_API_KEY = ""
    with pytest.raises(VapiFault, match="VAPI_API_KEY"):
        Vapi().every("tool")
    assert asked(at_vapi.sandbox, "GET") == 0


def test_what_is_not_there_is_none_and_can_be_removed(at_vapi: AtVapi) -> None:
    assert Vapi().find("assistant", "nobody") is None
    Vapi().remove("tool", "nobody")


def test_an_id_cannot_lead_to_another_address(at_vapi: AtVapi) -> None:
    made = Vapi().create("tool", TOOL)
    assert Vapi().find("assistant", f"../tool/{made['id']}") is None
    assert Vapi().find("assistant", "x?limit=1") is None


def test_a_long_list_is_read_to_its_end(at_vapi: AtVapi, monkeypatch: pytest.MonkeyPatch) -> None:
    vapi = Vapi()
    made = [vapi.create("tool", TOOL)["id"] for _ in range(11)]
    monkeypatch.setattr(rest, "PAGE_SIZE", 4)
    assert sorted(tool["id"] for tool in vapi.every("tool")) == sorted(made)


def test_a_vapi_that_is_away_is_an_outage(at_vapi: AtVapi, settings: Any) -> None:
    settings.VAPI_API_BASE_URL = f"http://127.0.0.1:{free_port()}/vapi"
    with pytest.raises(VapiFault, match="could not be reached") as caught:
        Vapi().every("tool")
    assert caught.value.outage


def test_a_vapi_that_does_not_answer_is_not_waited_for_long(at_vapi: AtVapi, settings: Any) -> None:
    settings.VAPI_TIMEOUT = (0.2, 0.2)
    at_vapi.sandbox.fault("slow_before", "vapi", delay_seconds=1.5)
    with pytest.raises(VapiFault, match="ReadTimeout"):
        Vapi(tries=1).every("tool")
