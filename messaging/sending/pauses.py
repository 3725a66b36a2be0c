"""A clinic's texts held back: by an account-level fault at the provider, or by a person, until a person lets them go.

A held text stays ``queued`` and uses no attempt. It is not due until its time is over (``next_attempt_at`` is its
``expires_at``), so the claim needs to know nothing of pauses: it finds held texts only to let them expire. They are
held in three places, each of which reads the sender's row anyway: ``pause`` itself moves what is due, the outbox writes
new ones so, and ``delivery.prepare`` puts back what becomes due meanwhile (``held``).

Everybody locks a text before its sender: a receipt has its text in hand when it finds out that the sender is to be
paused. So who has the sender in hand waits for no text.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from messaging.models import DeliveryAttempt, Message, SenderAccount
from messaging.providers.answers import Answer
from messaging.providers.twilio import outcomes
from messaging.providers.twilio.codes import CODES, Fault, spoken_reason
from messaging.states import MessageState
from monitoring.alerts import Severity, alert, is_over
from monitoring.service_words import name_of_clinic
from voxanne.durable.settlement import Settlement
from voxanne.statements import Statement
from voxanne.tenancy.scope import org_scope

# As the outbox has it.
HELD = "Held: sending is paused for this clinic. "
# Class A too, but of one country or one phone: the clinic's other texts go out.
OF_ONE_RECIPIENT = frozenset({21215, 21219, 21408, 21608, 30018, 30024, 30450, 63015})
# ``next_attempt_at`` is ``expires_at`` to the microsecond; nobody plans a text for the second in which it expires.
SAME_MOMENT = timedelta(seconds=1)
# Several workers may have been at it when the first one's refusal paused the rest.
REFUSED_TOGETHER = timedelta(minutes=2)
CODES_OF_ACCOUNT = (
    frozenset(code for code, known in CODES.items() if known.fault is Fault.ACCOUNT) - OF_ONE_RECIPIENT
)
# The same of an answer without a code.
STATUSES_OF_ACCOUNT = frozenset(
    status
    for status in range(300, 500)
    if outcomes.outcome_of_create(status, None, False).fault is Fault.ACCOUNT
)

# What somebody else has in hand is left to him: where it stays in the queue, it is held when it is claimed.
HOLD = Statement("""
WITH due AS MATERIALIZED (
    SELECT id FROM sms_delivery_log
    WHERE org_id = %(org)s AND state = 'queued' AND next_attempt_at <= %(now)s AND expires_at > %(now)s
    FOR UPDATE SKIP LOCKED
)
UPDATE sms_delivery_log AS text SET next_attempt_at = expires_at, last_error = %(said)s, updated_at = %(now)s
FROM due WHERE text.id = due.id
""")
FINGERPRINT = "sender_paused"
REFUSED = "Twilio refused the account"
# As ``pause`` stores them.
REASONS = frozenset(spoken_reason(code)[:200] for code in CODES_OF_ACCOUNT)


def fault_of_account(answer: Answer) -> str:
    """What an answer to a request to send says of the clinic's whole account, in words; blank when nothing."""
    if answer.http_status is None:
        return ""
    code = answer.error_code
    fault = outcomes.outcome_of_create(answer.http_status, code, code is not None).fault
    if fault is not Fault.ACCOUNT or code in OF_ONE_RECIPIENT:
        return ""
    if code is None:
        return f"{REFUSED} (HTTP {answer.http_status}); check its credentials and our address for it."
    return spoken_reason(code)


def fault_of_account_in_code(code: int | None) -> str:
    """The same of a receipt's error code."""
    return spoken_reason(code) if code in CODES_OF_ACCOUNT else ""


def pause_for(org_id: UUID, answer: Answer) -> bool:
    """Pauses where the answer to a request to send shows an account-level fault."""
    reason = fault_of_account(answer)
    return bool(reason) and pause(org_id, reason)


def pause_for_code(org_id: UUID, code: int | None) -> bool:
    """Pauses where a receipt's error code shows an account-level fault."""
    reason = fault_of_account_in_code(code)
    return bool(reason) and pause(org_id, reason)


def pause(org_id: UUID, reason: str, *, by_a_person: bool = False) -> bool:
    """Holds the clinic's texts back from now on. True when this call did it: then, and only then, operations is
    alerted. What is with the provider already takes its course."""
    now = timezone.now()
    with org_scope(org_id):
        running = SenderAccount.objects.filter(org_id=org_id, paused_reason="")
        if not running.update(paused_reason=reason[:200], paused_at=now):
            return False
        held = HOLD.run({"org": org_id, "now": now, "said": HELD + reason})
        own = SenderAccount.objects.filter(org_id=org_id).exclude(account_sid="").exists()
        why = "by a person" if by_a_person else reason
        _alert_when_paused(org_id, why, held=held, of_all=not (own or by_a_person))
    return True


def _alert_when_paused(org_id: UUID, why: str, *, held: int, of_all: bool) -> None:
    """A fault of the platform's account strikes every clinic: one alert tells it, and counts the others. What a
    person gave as the reason stays in the audit trail: nobody knows whom it names."""
    fingerprint = f"{FINGERPRINT}:{why[:200] if of_all else org_id}"
    said = f"The texts of {name_of_clinic(org_id)} are paused: {why}"
    tell = partial(alert, Severity.CRITICAL, fingerprint, said, org_id=str(org_id), held=held)
    transaction.on_commit(tell)


def told_reason(reason: str) -> str:
    """A pause's reason as operations may read it: a provider's fault in our words; of a person's, that it is one."""
    return reason if reason in REASONS or reason.startswith(REFUSED) else "by a person"


def reason_of_pause(org_id: UUID) -> str:
    """Why the clinic's texts are held back; blank when they are not."""
    with org_scope(org_id):
        reasons = SenderAccount.objects.filter(org_id=org_id).values_list("paused_reason", flat=True)
        return reasons.first() or ""


def is_paused(org_id: UUID) -> bool:
    return bool(reason_of_pause(org_id))


def resume(org_id: UUID) -> int | None:
    """Lets the clinic's texts go, those held back at once. Returns how many were held; None when none were to be."""
    now = timezone.now()
    with org_scope(org_id):
        queued = Message.objects.filter(org_id=org_id, state=MessageState.QUEUED, expires_at__gt=now)
        held = queued.filter(next_attempt_at__gte=F("expires_at") - SAME_MOMENT)
        _lock(held)
        paused = SenderAccount.objects.filter(org_id=org_id).exclude(paused_reason="")
        reasons = list(paused.values_list("paused_reason", flat=True))
        if not paused.update(paused_reason="", paused_at=None):
            return None
        for whose in (*map(told_reason, reasons), org_id):
            transaction.on_commit(partial(is_over, f"{FINGERPRINT}:{whose}"))
        # With those that were written meanwhile.
        pks = _lock(held, skip_locked=True)
        return Message.objects.filter(pk__in=pks).update(next_attempt_at=now, last_error="", updated_at=now)


def _lock(found: QuerySet[Message], *, skip_locked: bool = False) -> list[UUID]:
    rows = found.order_by("pk").select_for_update(of=("self",), skip_locked=skip_locked)
    return list(rows.values_list("pk", flat=True))


def given_up_for_it(org_id: UUID, paused_at: datetime) -> list[UUID]:
    """Texts that the fault itself cost: dead letters of an account's fault since then, whose time is not over and of
    which nobody doubts that they never arrived. They may be redriven when the fault is mended."""
    since = paused_at - REFUSED_TOGETHER
    with org_scope(org_id):
        refused = DeliveryAttempt.objects.filter(
            org_id=org_id,
            message=OuterRef("pk"),
            started_at__gte=since,
            error_code=None,
            http_status__in=STATUSES_OF_ACCOUNT,
        )
        dead = Message.objects.filter(
            Q(error_code__in=CODES_OF_ACCOUNT) | Q(Exists(refused), error_code=None),
            org_id=org_id,
            state=MessageState.DEAD_LETTER,
            dead_lettered_at__gte=since,
            expires_at__gt=timezone.now(),
            in_doubt_since=None,
        )
        return list(dead.order_by("dead_lettered_at").values_list("pk", flat=True))


def held(message: Message, reason: str) -> Settlement:
    """How a claimed text of a paused sender is put back, to wait until its time is over."""
    columns = {"next_attempt_at": message.expires_at}
    return Settlement(MessageState.QUEUED, error=HELD + reason, uses_attempt=False, columns=columns)
