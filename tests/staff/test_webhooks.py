from __future__ import annotations

import pytest

from telephony.models import Call, WebhookDelivery
from tests.staff.conftest import SignIn
from tests.staff.rows import Furnished
from voxanne.tenancy.models import AuditEntry
from voxanne.tenancy.scope import platform_scope

LIST = "/admin/telephony/webhookdelivery/"
YES = {"_form_submitted": "1", "reason": "The fault is mended."}


def as_it_stands(row: WebhookDelivery) -> WebhookDelivery:
    with platform_scope("check"):
        found: WebhookDelivery = WebhookDelivery.objects.get(pk=row.pk)
    return found


def test_a_replay_asks_for_a_reason_and_says_who(elms: Furnished, sign_in: SignIn) -> None:
    client, row = sign_in(elms.clinic.staff["manager"]), elms.one(WebhookDelivery)
    client.post(f"{LIST}{row.pk}/replay/", {**YES, "reason": ""})
    assert as_it_stands(row).state == "dead_letter"
    client.post(f"{LIST}{row.pk}/replay/", YES)
    client.post(f"{LIST}{row.pk}/replay/", YES)
    assert (as_it_stands(row).state, as_it_stands(row).replays) == ("pending", 1)
    with platform_scope("check"):
        (entry,) = AuditEntry.objects.filter(action="webhook.replay")
    assert (entry.actor_id, entry.reason) == (elms.clinic.staff["manager"].pk, YES["reason"])


def test_selected_webhooks_are_replayed_once(elms: Furnished, sign_in: SignIn) -> None:
    client, row = sign_in(elms.clinic.staff["owner"]), elms.one(WebhookDelivery)
    chosen = {"action": "replay_selected", "_selected_action": str(row.pk)}
    assert as_it_stands(row).state == "dead_letter"
    client.post(LIST, {**chosen, **YES, "confirmed": "yes"})
    assert as_it_stands(row).replays == 1


@pytest.mark.parametrize(
    ("role", "status"), [("owner", 200), ("manager", 200), ("receptionist", 403), ("viewer", 403)]
)
def test_replaying_is_for_owners_and_managers(
    role: str, status: int, elms: Furnished, sign_in: SignIn
) -> None:
    client = sign_in(elms.clinic.staff[role])
    assert client.get(f"{LIST}{elms.one(WebhookDelivery).pk}/replay/").status_code == status


def test_what_a_webhook_said_is_not_shown(elms: Furnished, sign_in: SignIn) -> None:
    client, row = sign_in(elms.clinic.staff["owner"]), elms.one(WebhookDelivery)
    page = client.get(f"{LIST}{row.pk}/change/").content.decode()
    assert "payload" not in page


def test_a_calls_page_shows_its_course(elms: Furnished, sign_in: SignIn) -> None:
    call = elms.one(Call)
    page = sign_in(elms.clinic.staff["viewer"]).get(f"/admin/telephony/call/{call.pk}/change/")
    assert page.status_code == 200
    assert "its course" in page.content.decode().lower()
