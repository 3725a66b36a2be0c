"""What staff are told: once each, at their own clinic, until one of them has seen to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from messaging.models import StaffTask
from messaging.staff_tasks import KEPT, acknowledge, forget_what_was_seen_to, tell_staff
from messaging.states import TaskKind
from tests.clinics import Clinic
from voxanne.tenancy.models import AuditEntry
from voxanne.tenancy.scope import org_scope

pytestmark = pytest.mark.django_db


def tell(clinic: Clinic, key: str = "a-key") -> StaffTask | None:
    with org_scope(clinic.id):
        made = tell_staff(clinic.id, kind=TaskKind.CALLER_MESSAGE, text="Please ring back.", dedupe_key=key)
        found: StaffTask | None = StaffTask.objects.filter(pk=made).first() if made else None
    return found


def signed_in(clinic: Clinic, role: str) -> Client:
    client = Client()
    client.force_login(clinic.staff[role], backend="voxanne.tenancy.permissions.MembershipBackend")
    return client


def test_the_same_thing_is_told_once_a_clinic(elm: Clinic, oak: Clinic) -> None:
    assert tell(elm) is not None
    assert tell(elm) is None
    assert tell(oak) is not None


def test_a_receptionist_sees_to_a_task_and_the_trail_says_so(elm: Clinic) -> None:
    task = tell(elm)
    assert task is not None
    client = signed_in(elm, "receptionist")
    address = f"/admin/messaging/stafftask/{task.pk}/acknowledge/"
    client.get(address, {"_form_submitted": "1", "note": "x"})
    with org_scope(elm.id):
        assert StaffTask.objects.get().acknowledged_at is None
    client.post(address, {"_form_submitted": "1", "note": "Rang back."})
    with org_scope(elm.id):
        seen = StaffTask.objects.get()
        assert seen.acknowledged_by == elm.staff["receptionist"]
        assert seen.note == "Rang back."
        assert (
            AuditEntry.objects.filter(action="staff_task.acknowledge", actor=seen.acknowledged_by).count()
            == 1
        )


@pytest.mark.parametrize(("role", "allowed"), [("owner", 200), ("receptionist", 200), ("viewer", 403)])
def test_viewers_only_look(elm: Clinic, settings: Any, role: str, allowed: int) -> None:
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
    task = tell(elm)
    assert task is not None
    answer = signed_in(elm, role).get(f"/admin/messaging/stafftask/{task.pk}/acknowledge/")
    assert answer.status_code == allowed


def test_pressing_twice_keeps_the_first_persons_name(elm: Clinic) -> None:
    task = tell(elm)
    assert task is not None
    with org_scope(elm.id):
        assert acknowledge(task, elm.staff["owner"].pk)
        assert not acknowledge(task, elm.staff["manager"].pk)
        assert StaffTask.objects.get().acknowledged_by == elm.staff["owner"]


def test_what_was_seen_to_is_forgotten_in_time_and_open_tasks_never(elm: Clinic) -> None:
    old, still_open = tell(elm), tell(elm, "another")
    assert old is not None
    assert still_open is not None
    long_ago = timezone.now() - KEPT - timedelta(days=1)
    with org_scope(elm.id):
        StaffTask.objects.update(created_at=long_ago)
        StaffTask.objects.filter(pk=old.pk).update(acknowledged_at=long_ago)
    assert forget_what_was_seen_to() == 1
    with org_scope(elm.id):
        assert list(StaffTask.objects.all()) == [still_open]
