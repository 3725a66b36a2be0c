"""Vapi and Twilio deliver at least once, out of order, sometimes not at all: the final rows are the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.db import transaction
from django.db.models import Model
from twilio.request_validator import RequestValidator

from bookings.models import Appointment
from messaging.models import InboundMessage, Message, OptOut
from telephony.call_records import calls
from telephony.models import Call, CallCommand, CallEvent, ToolInvocation, WebhookDelivery
from telephony.webhooks.ledger import WEBHOOK
from telephony.webhooks.states import WebhookState
from tests.clinics import Clinic
from tests.telephony.vapi_client import SHARED_CLIENT, VapiCaller
from tests.telephony.vapi_events import events_of
from voxanne.durable import work
from voxanne.tenancy.scope import org_scope

ORDERS = 50
COPIES = 5
CALL_ID = "3f0c9a52-6f8b-4a4e-9d0e-1f6b8a7f4f10"
# What tells one row of a kind from the next, without what is new in each run: ids, and when rows were written.
COLUMNS: dict[type[Model], tuple[str, ...]] = {
    Call: (
        "vapi_call_id", "twilio_call_sid", "from_number", "to_number", "status", "started_at", "ended_at",
        "ended_reason", "ended_group", "outcome", "summary", "transcript", "sentiment", "cost", "duration_seconds",
        "tools_used", "recording_url", "report_learnt", "control_url", "appointment__starts_at",
    ),
    CallEvent: ("event_id", "kind", "at", "role", "text", "final"),
    ToolInvocation: ("tool_call_id", "tool", "outcome"),
    CallCommand: ("body",),
    Appointment: ("starts_at", "status", "patient_name", "source"),
    Message: ("kind", "recipient", "state"),
    InboundMessage: ("provider_sid", "sender", "body", "keyword"),
    OptOut: ("sender", "recipient", "opted_out"),
    WebhookDelivery: ("provider", "event_id", "event_type", "state", "outcome", "attempts"),
}  # fmt: skip
Rows = dict[str, list[tuple[Any, ...]]]
Post = Callable[[], None]


def final_rows(clinic: Clinic) -> Rows:
    with org_scope(clinic.id):
        return {
            model._meta.db_table: sorted(model._default_manager.values_list(*columns), key=repr)
            for model, columns in COLUMNS.items()
        }


@contextmanager
def undone() -> Iterator[None]:
    """What happens in the block did not happen."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def work_off_some(clinic: Clinic, chance: random.Random, share: float = 0.5) -> None:
    """Workers take what waits, in whatever order they come to it, and leave some for later."""
    with org_scope(clinic.id):
        waiting = list(
            WebhookDelivery.objects.filter(state=WebhookState.PENDING).values_list("pk", flat=True)
        )
    chance.shuffle(waiting)
    for pk in waiting:
        if chance.random() < share:
            claimed = work.claim(WEBHOOK, clinic.id, pk)
            if claimed is not None:
                work.perform(WEBHOOK, claimed)


def play(clinic: Clinic, posts: list[Post], chance: random.Random) -> Rows:
    """Posts in the order given, with workers at it in between; the rows that are left in the end."""
    for post in posts:
        post()
        work_off_some(clinic, chance)
    work_off_some(clinic, chance, share=1)
    return final_rows(clinic)


@pytest.fixture
def vapi_posts(elm: Clinic) -> list[Post]:
    call = VapiCaller(elm, call_id=CALL_ID)

    def posting(message: dict[str, Any]) -> Post:
        def post() -> None:
            assert call.post(message).status_code == 200

        return post

    return [posting(message) for message in events_of(call, elm.next_weekday())]


def twilio_form(clinic: Clinic, path: str, **members: str) -> Post:
    form = {"AccountSid": settings.TWILIO_ACCOUNT_SID, "ApiVersion": "2010-04-01", **members}
    signer = RequestValidator(settings.TWILIO_AUTH_TOKEN)
    headers = {"X-Twilio-Signature": signer.compute_signature(f"{settings.BACKEND_URL}{path}", form)}

    def post() -> None:
        kind = "application/x-www-form-urlencoded"
        answer = SHARED_CLIENT.post(path, urlencode(form), content_type=kind, headers=headers)
        assert answer.status_code in (200, 204), answer.content

    return post


@pytest.fixture
def twilio_posts(elm: Clinic) -> list[Post]:
    """Texts of two people, one of whom wants no more of them."""

    def text(sid: str, sender: str, body: str) -> Post:
        return twilio_form(
            elm, "/api/webhooks/twilio/sms", MessageSid=sid, From=sender, To=elm.number, Body=body
        )

    return [
        text("SM" + "1" * 32, "+14155550142", "Is Monday fine?"),
        text("SM" + "2" * 32, "+14155550142", "STOP"),
        text("SM" + "3" * 32, "+14155550143", "Thank you"),
        text("SM" + "4" * 32, "+14155550143", "HELP"),
    ]


@pytest.mark.parametrize("provider", ["vapi_posts", "twilio_posts"])
def test_every_event_five_times_is_the_same_as_once(
    elm: Clinic, provider: str, request: pytest.FixtureRequest
) -> None:
    posts: list[Post] = request.getfixturevalue(provider)
    chance = random.Random(7)
    with undone():
        once = play(elm, posts, chance)
    with undone():
        five_times = play(elm, [post for post in posts for _ in range(COPIES)], chance)
    assert five_times == once
    assert once["webhook_delivery_log"]


@pytest.mark.parametrize("provider", ["vapi_posts", "twilio_posts"])
def test_fifty_random_orders_leave_the_same_rows(
    elm: Clinic, provider: str, request: pytest.FixtureRequest
) -> None:
    posts: list[Post] = request.getfixturevalue(provider)
    with undone():
        in_order = play(elm, posts, random.Random(0))
    for seed in range(ORDERS):
        chance = random.Random(seed)
        # Each at least once, some again, all mixed.
        shuffled = posts + chance.sample(posts, chance.randrange(len(posts)))
        chance.shuffle(shuffled)
        with undone():
            assert play(elm, shuffled, chance) == in_order, f"order {seed}"


def test_the_call_that_is_left_is_the_true_one(elm: Clinic, vapi_posts: list[Post]) -> None:
    with undone():
        rows = play(elm, vapi_posts, random.Random(0))
    (call,) = (dict(zip(COLUMNS[Call], row, strict=True)) for row in rows["calls"])
    assert (call["status"], call["outcome"], call["ended_group"]) == ("ended", "booked", "caller")
    assert (call["sentiment"], str(call["cost"]), call["duration_seconds"]) == ("positive", "0.3142", 269)
    assert call["tools_used"] == ["bookClinicAppointment", "endCall"]
    assert call["summary"] == "Dana booked a visit."
    assert call["appointment__starts_at"] == rows["appointments"][0][0]
    assert rows["appointments"][0][1] == "confirmed", "a call's end completes no appointment"
    assert [row[4] for row in rows["call_events"] if row[1] == "transcript"]
    assert all(row[5] for row in rows["call_events"]), "what was being said is not kept"


def test_without_the_ledgers_key_repetitions_add_up(
    elm: Clinic, vapi_posts: list[Post], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: were ids made of the bytes that came, a repetition would be a second event."""
    from telephony.vapi import arrivals

    serial = iter(range(1_000_000))
    monkeypatch.setattr(arrivals, "event_id", lambda *parts: f"{':'.join(parts[:2])}:{next(serial)}")
    with undone():
        once = play(elm, vapi_posts, random.Random(7))
    with undone():
        twice = play(elm, vapi_posts * 2, random.Random(7))
    assert len(twice["call_events"]) > len(once["call_events"])


def test_without_moving_forward_alone_the_order_shows(
    elm: Clinic, vapi_posts: list[Post], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: were each status written as it comes, the last to come would stand."""

    def as_it_comes(call: Call, status: Call.Status) -> bool:
        Call.objects.filter(pk=call.pk).update(status=status)
        return True

    monkeypatch.setattr(calls, "advance", as_it_comes)
    with undone():
        in_order = play(elm, vapi_posts, random.Random(0))
    with undone():
        reversed_order = play(elm, vapi_posts[::-1], random.Random(0))
    assert reversed_order != in_order
