from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from telephony.models import ToolRegistration, VapiCredential
from telephony.tool_chain.our_side import our_side
from telephony.tool_chain.wanted import digest_of, tool_bodies
from telephony.tools.catalogue import TOOLS
from tests.clinics import Clinic
from tests.staff.conftest import SignIn
from voxanne.tenancy.scope import platform_scope

PAGE = "/admin/telephony/toolregistration/"


@pytest.fixture
def registrations(elm: Clinic) -> dict[str, Any]:
    """Elm Street's tools as a sync just now would have registered them."""
    bodies = tool_bodies(our_side(elm.id), settings.BACKEND_URL)
    with platform_scope("test data"):
        return {
            name: ToolRegistration.objects.create(
                org=elm.org,
                name=name,
                vapi_tool_id=f"id-of-{name}",
                schema_digest=digest_of(body),
                synced_at=timezone.now(),
            )
            for name, body in bodies.items()
        }


def test_the_list_tells_which_definitions_have_changed_since(
    registrations: dict[str, Any], elm: Clinic, sign_in: SignIn
) -> None:
    client = sign_in(elm.staff["manager"])
    shown = client.get(PAGE).content.decode()
    assert shown.count("As defined") == len(TOOLS)
    with platform_scope("test data"):
        ToolRegistration.objects.filter(name="endCall").update(schema_digest="of-old")
        ToolRegistration.objects.filter(name="transferCall").update(name="sendFax")
    shown = client.get(PAGE).content.decode()
    assert shown.count("As defined") == len(TOOLS) - 2
    assert "Changed since" in shown
    assert "No longer wanted" in shown


def test_a_credential_that_moved_to_vapi_is_a_change_to_every_tool(
    registrations: dict[str, Any], elm: Clinic, sign_in: SignIn
) -> None:
    with platform_scope("test data"):
        VapiCredential.objects.filter(org=elm.org).update(vapi_credential_id="at-vapi")
    shown = sign_in(elm.staff["manager"]).get(PAGE).content.decode()
    assert shown.count("Changed since") == len(TOOLS)


def test_registrations_can_be_looked_at_and_not_edited(
    registrations: dict[str, Any], elm: Clinic, oak: Clinic, sign_in: SignIn
) -> None:
    row = registrations["endCall"]
    client = sign_in(elm.staff["owner"])
    assert client.get(f"{PAGE}{row.pk}/change/").status_code == 200
    assert client.post(f"{PAGE}{row.pk}/change/", {"name": "x"}).status_code == 403
    assert client.get(f"{PAGE}add/").status_code == 403
    stranger = sign_in(oak.staff["owner"])
    assert "id-of-endCall" not in stranger.get(PAGE).content.decode()
    assert stranger.get(f"{PAGE}{row.pk}/change/").status_code in (302, 404)
