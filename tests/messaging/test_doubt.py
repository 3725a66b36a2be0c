"""That a text was given up in doubt is a column of its own: it ends with what it speaks of."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from messaging.models import Message
from messaging.states import MessageState
from messaging.undelivered import dead_letters
from tests.clinics import Clinic
from tests.messaging.test_queue_health import make
from voxanne.durable import work
from voxanne.durable.settlement import Settlement
from voxanne.tenancy.scope import org_scope, platform_scope

pytestmark = pytest.mark.django_db
marking: Any = import_module("messaging.migrations.0150_in_doubt_since")


def now(message: Message) -> Message:
    with org_scope(message.org_id):
        return Message.objects.get(pk=message.pk)


def test_a_text_given_up_again_for_a_known_reason_is_in_doubt_no_more(elm: Clinic) -> None:
    message = make(elm, "dead_letter", in_doubt_since=timezone.now())
    assert dead_letters.is_in_doubt(message)
    sent, refused = (Settlement(state) for state in (MessageState.SENT, MessageState.DEAD_LETTER))
    for settlement in (sent, refused):
        assert work.move(Message, elm.id, message.pk, settlement)
    assert now(message).state == MessageState.DEAD_LETTER
    assert not dead_letters.is_in_doubt(now(message))
    with org_scope(elm.id):
        assert not Message.objects.filter(dead_letters.in_doubt()).exists()


def test_those_that_only_their_words_told_of_are_marked(elm: Clinic, oak: Clinic) -> None:
    told = [make(clinic, "dead_letter", last_error=why) for clinic in (elm, oak) for why in marking.IN_DOUBT]
    others = [
        make(elm, "dead_letter", last_error="The number cannot be reached."),
        make(elm, "unknown", last_error=marking.IN_DOUBT[1]),
    ]
    with platform_scope("as the role that migrates, which every clinic's rows are open to"):
        marking.mark_those_given_up_in_doubt(apps, SimpleNamespace(connection=connection))
    assert all(dead_letters.is_in_doubt(now(message)) for message in told)
    assert not any(now(message).in_doubt_since for message in others)
