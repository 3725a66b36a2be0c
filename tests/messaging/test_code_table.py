"""Every code of Twilio's and what becomes of a text because of it. Run with -s to see the table."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from messaging.providers.twilio.codes import CODES, Fault
from messaging.sending import pauses
from messaging.sending.delivery import SMS_DELIVERY
from messaging.states import MessageState
from tests.messaging.code_table import DOCUMENT, FIRST_OF_RECEIPTS, document, rows
from tests.messaging.desk import Desk
from tests.messaging.test_receipts import FIRST, tried, word
from voxanne.durable import work

pytestmark = pytest.mark.django_db

LEADS_TO = {
    "dead": MessageState.DEAD_LETTER,
    "suppressed,": MessageState.SUPPRESSED,
    "tried": MessageState.QUEUED,
    "sent": MessageState.QUEUED,
    "unknown:": MessageState.UNKNOWN,
}


def test_the_document_says_what_the_code_does() -> None:
    print(f"\n{document()}")
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "python -m tests.messaging.write_code_table"


@pytest.mark.parametrize("row", rows(), ids=lambda row: str(row.code))
def test_a_text_comes_to_what_the_table_says(desk: Desk, row: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "alert", lambda *_, **__: None)
    if row.code < FIRST_OF_RECEIPTS:
        status = int(row.comes_as.rpartition(" ")[2])
        kind = "server_error_with_body" if status >= 500 else "refused_permanent"
        desk.sandbox.fault(kind, code=row.code, status=status)
        message = desk.write()
        desk.send(message)
    else:
        message = tried(desk, desk.write(expires_at=_in_two_days()), FIRST)
        word(desk, message, "failed", code=row.code)
    assert desk.now(message).state == LEADS_TO[row.becomes.partition(" ")[0]]
    assert pauses.is_paused(desk.clinic.id) == row.pauses


def _in_two_days() -> Any:
    from django.utils import timezone

    return timezone.now() + timedelta(days=2)


def test_only_faults_of_an_account_pause_a_sender() -> None:
    assert {row.fault for row in rows() if row.pauses} == {Fault.ACCOUNT}
    assert [row.code for row in rows()] == sorted(CODES)


def test_texts_that_were_under_way_when_the_account_was_refused_alert_once_and_burn_no_queue(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    alerted: list[Any] = []
    monkeypatch.setattr(pauses, "alert", lambda *said, **_: alerted.append(said))
    desk.sandbox.fault("refused_permanent", code=20003, status=401)
    texts = [desk.write(f"Number {serial}.") for serial in range(20)]
    under_way = [work.claim(SMS_DELIVERY, desk.clinic.id, text.pk) for text in texts[:4]]
    with django_capture_on_commit_callbacks(execute=True):
        for claimed in under_way:
            assert claimed is not None
            work.perform(SMS_DELIVERY, claimed)
    assert len(alerted) == 1
    states = [(desk.now(text).state, desk.now(text).attempts) for text in texts]
    assert states[:4] == [(MessageState.DEAD_LETTER, 1)] * 4
    assert states[4:] == [(MessageState.QUEUED, 0)] * 16
    paused_at = desk.now(texts[0]).dead_lettered_at
    assert paused_at is not None
    given_up = pauses.given_up_for_it(desk.clinic.id, paused_at)
    assert set(given_up) == {text.pk for text in texts[:4]}, "resuming sends these again as well"
