"""One door for dead letters, whoever asks."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

import messaging
from messaging.models import Message
from tests.staff.rows import dead_letter, furnish
from tests.staff.test_dead_letters import WHY
from voxanne.tenancy.models import AuditEntry, User
from voxanne.tenancy.scope import platform_scope

CHANGED = ("state", "attempts", "error_code", "dead_lettered_at", "unknown_since", "first_empty_list_at")
BY_PAGE = "/admin/messaging/message/{}/redrive/"
BY_ADDRESS = "/api/monitoring/sms-retry-dead-letter/{}"


def _calls(path: Path) -> set[str]:
    """What a module calls, as written: ``work.redrive``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def test_nothing_but_the_door_redrives_a_text() -> None:
    modules = Path(messaging.__file__).parent.rglob("*.py")
    assert [path.name for path in modules if "work.redrive" in _calls(path)] == ["dead_letters.py"]


@pytest.mark.django_db
def test_staff_and_operations_redrive_alike(client: Client, elm: Any) -> None:
    furnished = furnish(elm)
    client.force_login(elm.staff["manager"], backend="voxanne.tenancy.permissions.MembershipBackend")
    then = timezone.now()
    with platform_scope("test data"):
        given = {"unknown_since": then, "first_empty_list_at": then}
        pressed, asked = (dead_letter(furnished, **given) for _ in range(2))
    client.post(BY_PAGE.format(pressed.pk), WHY)
    assert Client().post(BY_ADDRESS.format(asked.pk)).status_code == 200
    with platform_scope("check"):
        rows = Message.objects.filter(pk__in=[pressed.pk, asked.pk]).values_list(*CHANGED)
        assert set(rows) == {("queued", 0, None, None, None, None)}
        trail = AuditEntry.objects.filter(action="message.redrive").order_by("created_at")
        assert [(line.actor, line.subject) for line in trail] == [
            (elm.staff["manager"], f"sms_delivery_log:{pressed.pk}"),
            (None, f"sms_delivery_log:{asked.pk}"),
        ]


@pytest.mark.django_db
def test_an_operators_session_redrives_in_the_operators_name(elm: Any) -> None:
    furnished = furnish(elm)
    operator = User.objects.create_superuser("operator", password="correct horse battery")
    client = Client()
    client.force_login(operator, backend="voxanne.tenancy.permissions.MembershipBackend")
    with platform_scope("test data"):
        by_session, by_token = (dead_letter(furnished) for _ in range(2))
    client.post(BY_ADDRESS.format(by_session.pk))
    token = {"Authorization": f"Bearer {settings.MONITORING_TOKEN}"}
    client.post(BY_ADDRESS.format(by_token.pk), headers=token)
    with platform_scope("check"):
        trail = dict(AuditEntry.objects.filter(action="message.redrive").values_list("subject", "actor"))
    assert trail == {
        f"sms_delivery_log:{by_session.pk}": operator.pk,
        f"sms_delivery_log:{by_token.pk}": None,
    }
