"""A scope that travels in a statement of its own, as taking a webhook in does: one round trip, the same policies."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.db import ProgrammingError, connection

from telephony.models import WebhookDelivery
from telephony.webhooks import ledger
from telephony.webhooks.ledger import Arrival, Provider
from tests.clinics import Clinic
from tests.telephony.webhooks import deliveries
from voxanne.statements import Statement
from voxanne.tenancy.ids import new_id
from voxanne.tenancy.scope import ScopeError, org_scope, platform_scope

pytestmark = pytest.mark.django_db(transaction=True)


def test_taking_in_is_one_statement_that_sees_its_clinic_alone(
    elm: Clinic, oak: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Committed by itself, under the policies of the clinic's scope, which is gone with it."""
    asked: list[Any] = []
    execute = psycopg.Cursor.execute

    def note(cursor: Any, query: Any, *words: Any, **more: Any) -> Any:
        asked.append(query)
        return execute(cursor, query, *words, **more)

    arrival = Arrival(Provider.VAPI, "alone:1", "unheard-of", {"a": 1})
    assert ledger.take_in(elm.id, arrival)
    with monkeypatch.context() as watched:
        watched.setattr(psycopg.Cursor, "execute", note)
        assert not ledger.take_in(elm.id, arrival)
        assert ledger.take_in(oak.id, arrival)
    assert asked == [ledger.TAKE_IN.sql] * 2
    assert [len(deliveries(clinic)) for clinic in (elm, oak)] == [1, 1]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('voxanne.org_ids', true), (SELECT count(*) FROM webhook_delivery_log)"
        )
        assert cursor.fetchone() == ("", 0)


def test_taking_in_leaves_the_scope_around_it_as_it_was(elm: Clinic, oak: Clinic) -> None:
    with platform_scope("several clinics' webhooks"):
        for clinic in (elm, oak):
            assert ledger.take_in(clinic.id, Arrival(Provider.VAPI, "within:1", "unheard-of", {}))
        assert WebhookDelivery.objects.count() == 2
    with org_scope(elm.id), pytest.raises(ScopeError):
        ledger.take_in(oak.id, Arrival(Provider.VAPI, "within:2", "unheard-of", {}))


def test_the_policies_hold_within_the_statement_too(elm: Clinic, oak: Clinic) -> None:
    foreign = Statement(
        ledger.TAKE_IN.sql.replace("%(org)s::uuid, %(provider)s", "%(other)s::uuid, %(provider)s")
    )
    values = {
        "id": new_id(), "org": elm.id, "other": oak.id, "provider": "vapi", "event_id": "foreign:1",
        "event_type": "hang", "call": "", "origin": "told", "state": "completed", "outcome": "ignored",
        "payload": b"", "done": True,
    }  # fmt: skip
    with pytest.raises(ProgrammingError, match="row-level security"):
        foreign.row(values)
    assert deliveries(oak) == []
