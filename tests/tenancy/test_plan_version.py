"""What a clinic's plan is made of, kept in memory: its version rises with every change, whoever writes it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bookings import plan as plans
from bookings.models import Closure, Provider, ProviderService, Service, WorkingHours
from messaging.manners import policy
from messaging.models import MessageTemplate, MessagingPolicy, SenderAccount
from messaging.states import MessageKind
from messaging.words import wording
from tests.clinics import Clinic
from tests.tenancy.rows import make_row
from voxanne.tenancy.models import Organization
from voxanne.tenancy.plan_cache import ClinicKey, PlanCache
from voxanne.tenancy.scope import org_scope, platform_scope

pytestmark = pytest.mark.django_db

OF_THE_PLAN = (
    Service, Provider, ProviderService, WorkingHours, Closure, MessageTemplate, MessagingPolicy, SenderAccount,
    Organization,
)  # fmt: skip
EACH = pytest.mark.parametrize("model", OF_THE_PLAN, ids=lambda model: model._meta.db_table)


def version(clinic: Clinic) -> int:
    with org_scope(clinic.id):
        found: int = Organization.objects.values_list("plan_version", flat=True).get(pk=clinic.id)
    return found


def write(clinic: Clinic, statement: str, *values: Any) -> None:
    with org_scope(clinic.id), connection.cursor() as cursor:
        cursor.execute(statement, values)
        assert cursor.rowcount == 1


def row_of(model: type[Any], clinic: Clinic) -> Any:
    if model is Organization:
        return clinic.org
    with org_scope(clinic.id):
        # The newest row is nobody's foreign key yet, so it can be deleted as well.
        return SenderAccount.objects.get() if model is SenderAccount else make_row(model, clinic.org)


@EACH
def test_a_changed_row_raises_its_clinics_version_and_no_others(
    model: type[Any], elm: Clinic, oak: Clinic
) -> None:
    row = row_of(model, elm)
    before, others = version(elm), version(oak)
    column = "name" if model is Organization else "created_at"
    write(elm, f"UPDATE {model._meta.db_table} SET {column} = {column} WHERE id = %s", row.pk)
    assert version(elm) > before
    assert version(oak) == others


@pytest.mark.parametrize("model", OF_THE_PLAN[:-2], ids=lambda model: model._meta.db_table)
def test_an_added_and_a_deleted_row_raise_the_version(model: type[Any], elm: Clinic, oak: Clinic) -> None:
    others = version(oak)
    before = version(elm)
    row = row_of(model, elm)
    added = version(elm)
    write(elm, f"DELETE FROM {model._meta.db_table} WHERE id = %s", row.pk)
    assert before < added < version(elm)
    assert version(oak) == others


def test_a_row_that_changes_hands_raises_both_clinics_versions(elm: Clinic, oak: Clinic) -> None:
    row = row_of(Closure, elm)
    before = version(elm), version(oak)
    with platform_scope("test"):
        Closure.objects.filter(pk=row.pk).update(org=oak.org)
    assert version(elm) > before[0]
    assert version(oak) > before[1]


def test_every_table_that_a_cached_value_is_read_from_has_the_trigger(elm: Clinic) -> None:
    loads: list[Callable[[UUID], object]] = [plans._load, wording._load_templates, policy._load]
    with org_scope(elm.id), CaptureQueriesContext(connection) as asked:
        for load in loads:
            load(elm.id)
    read = {
        table
        for query in asked.captured_queries
        for table in re.findall(r'(?:FROM|JOIN) "(\w+)"', query["sql"])
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'plan_version_rises'")
        watched = {table for (table,) in cursor.fetchall()}
    assert len(read) >= 6
    assert read <= watched


# The cache


def closed_in(clinic: Clinic, days: int) -> Closure:
    starts = timezone.now() + timedelta(days=days)
    row: Closure = Closure.objects.create(
        org=clinic.org, starts_at=starts, ends_at=starts + timedelta(days=1)
    )
    return row


def test_the_plan_follows_a_change_at_once(elm: Clinic) -> None:
    assert all(provider.closures == () for provider in elm.plan().providers)
    with org_scope(elm.id):
        closure = closed_in(elm, 3)
    assert all(len(provider.closures) == 1 for provider in elm.plan().providers)
    write(elm, "DELETE FROM closures WHERE id = %s", closure.pk)
    assert all(provider.closures == () for provider in elm.plan().providers)


def test_a_clinics_own_words_follow_a_change_at_once(elm: Clinic) -> None:
    def said() -> str:
        with org_scope(elm.id):
            return wording.words_for(
                ClinicKey(elm.id, version(elm)), MessageKind.CANCELLED, {"clinic": "Elm"}
            )

    assert said().startswith("Elm: your visit")
    with org_scope(elm.id):
        MessageTemplate.objects.create(org=elm.org, kind=MessageKind.CANCELLED, body="{clinic} says no.")
    assert said() == "Elm says no."
    write(elm, "UPDATE message_templates SET body = '{clinic} says never.' WHERE org_id = %s", elm.id)
    assert said() == "Elm says never."


def test_a_change_that_was_rolled_back_is_never_served(elm: Clinic) -> None:
    """Its version would come again for the next change, with another plan behind it, if versions were counted."""
    elm.plan()
    with org_scope(elm.id):
        savepoint = transaction.savepoint()
        closed_in(elm, 3)
        assert [len(provider.closures) for provider in elm.plan().providers] == [1, 1]
        transaction.savepoint_rollback(savepoint)
        closed_in(elm, 4)
        closed_in(elm, 5)
    assert [len(provider.closures) for provider in elm.plan().providers] == [2, 2]
    with org_scope(elm.id):
        savepoint = transaction.savepoint()
        closed_in(elm, 6)
        elm.plan()
        transaction.savepoint_rollback(savepoint)
        Closure.objects.first().delete()  # type: ignore[union-attr]
    assert [len(provider.closures) for provider in elm.plan().providers] == [1, 1]


def test_a_version_is_loaded_once_and_only_the_newest_is_kept() -> None:
    loaded: list[UUID] = []

    def load(org_id: UUID) -> int:
        loaded.append(org_id)
        return len(loaded)

    cache, clinic = PlanCache(load), UUID(int=1)
    assert [cache.get(ClinicKey(clinic, 1)) for _ in range(3)] == [1, 1, 1]
    assert cache.get(ClinicKey(clinic, 2)) == 2
    assert cache.get(ClinicKey(clinic, 1)) == 3, "an older version is not answered with a newer plan"


def test_the_clinics_used_last_are_kept() -> None:
    loaded: list[UUID] = []
    cache = PlanCache(loaded.append, size=2)
    one, two, three = (ClinicKey(UUID(int=number), 1) for number in (1, 2, 3))
    for key in (one, two, one, three, one):
        cache.get(key)
    assert loaded == [one.org_id, two.org_id, three.org_id]
    cache.get(two)
    assert len(loaded) == 4
