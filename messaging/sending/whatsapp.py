"""WhatsApp beside SMS: when a text goes by SMS after all, and when no text goes by WhatsApp.

What WhatsApp says for certain it did not deliver goes by SMS: the same row changes its channel, once and
never back, so at most one of the two is delivered. Where the fate is open, or the person blocked the clinic, nothing
is sent by another way.
"""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from messaging.channels import Channel
from messaging.models import Contact, Message, SenderAccount
from messaging.outbox import wake
from messaging.providers.answers import Answer, TryOutcome
from messaging.providers.twilio.codes import CODES, spoken_reason
from messaging.sending import tries
from messaging.states import MessageState
from messaging.words.segments import measure
from monitoring.alerts import Severity, alert, is_over
from voxanne.durable.settlement import Settlement
from voxanne.tenancy.scope import org_scope

# Source: Twilio's error dictionary. By each of these it is certain that WhatsApp did not deliver.
OF_RECIPIENT = frozenset({63003, 63024, 63032})
# No template where one is needed; a test sender that the person has not joined. Nobody is to mend anything.
OF_MOMENT = frozenset({63015, 63016})
OF_TEMPLATE = frozenset(
    {21654, 21655, 21656, 21658, 63005, 63006, 63013, 63021}
    | {63026, 63027, 63028, 63029, 63030, 63040, 63041, 63042}
)
# The clinic's WhatsApp sender as such: nothing goes out there until it is mended, and by SMS everything does.
OF_SENDER = frozenset(
    {21212, 21603, 21606, 21607, 21657, 21660, 21701, 21703, 21704, 21705, 21708, 21709, 21910}
    | {63001, 63002, 63007, 63008, 63020, 63022, 63051}
)
NOT_DELIVERED = OF_RECIPIENT | OF_MOMENT | OF_TEMPLATE | OF_SENDER
# From these a text may change its way: what waits is not under way, and what ended stays ended.
UNDER_WAY = (MessageState.SENDING, MessageState.UNKNOWN, MessageState.SENT)
FINGERPRINT = "whatsapp_paused"
NO_WORDS = (
    "Only an approved template may be sent by WhatsApp now, and there is none that fits. It goes by text."
)


def after_answer(
    message: Message, answer: Answer, *, tries_left: bool, text_sender: str
) -> Settlement | None:
    """How a text goes on by SMS that WhatsApp refused, from ``text_sender``; None where it goes the way of every text.
    Asks the database nothing: whoever sends has no connection."""
    if message.channel != Channel.WHATSAPP or not _was_refused(answer, tries_left):
        return None
    return by_text(message, _said(answer.error_code), text_sender)


def _was_refused(answer: Answer, tries_left: bool) -> bool:
    """A refusal proves that nothing went out. One for now is WhatsApp's own only where its code says so: what is
    Twilio's would keep a text from going out just as well."""
    if answer.outcome is TryOutcome.REFUSED_FOR_GOOD:
        return answer.error_code in NOT_DELIVERED
    is_whatsapps = answer.error_code is not None and 63_000 <= answer.error_code < 64_000
    return answer.outcome is TryOutcome.REFUSED_FOR_NOW and is_whatsapps and not tries_left


def after_receipt(message: Message, sid: str, code: int | None) -> Settlement | None:
    """The same where a receipt (or Twilio's list) says `undelivered` or `failed` with ``code`` of the text ``sid``."""
    if message.channel != Channel.WHATSAPP or code not in NOT_DELIVERED or message.state not in UNDER_WAY:
        return None
    settlement = by_text(message, _said(code), _text_sender(message.org_id))
    if settlement is None:
        return None
    waking = partial(wake, message.org_id, message.pk)
    told = partial(tries.note_fate, message, sid, code, spoken_reason(code))
    return settlement.also(partial(note_fault, message, code)).also(told).also(waking)


def by_text(message: Message, reason: str, number: str) -> Settlement | None:
    """The row as it waits to go by SMS from ``number``, with tries of its own, the first of which counts as a text's
    first does: by WhatsApp it used nothing of the month's segments. None once its time is over, or without a sender."""
    if message.expires_at <= timezone.now() or not number:
        return None
    size = measure(message.body)
    columns = {
        "channel": Channel.SMS.value, "sender": number, "segments": size.segments, "encoding": size.encoding.value,
        "attempts": 0, "first_attempted_at": None, "sent_at": None, "error_code": None,
    }  # fmt: skip
    return Settlement(MessageState.QUEUED, error=reason, uses_attempt=False, columns=columns)


def instead(message: Message, text_sender: str) -> Settlement:
    """Where a claimed text goes that has no words on WhatsApp now."""
    by_sms = by_text(message, NO_WORDS, text_sender)
    return by_sms or Settlement(MessageState.DEAD_LETTER, error=NO_WORDS, uses_attempt=False)


def _text_sender(org_id: UUID) -> str:
    with org_scope(org_id):
        return SenderAccount.objects.filter(org_id=org_id).values_list("number", flat=True).first() or ""


def _said(code: int | None) -> str:
    return f"WhatsApp did not deliver it, so it goes by text. {spoken_reason(code)}"


def note_fault(message: Message, code: int | None) -> bool:
    """Keeps the next texts from the same fault; True where ``code`` is WhatsApp's own, and so says nothing of the
    clinic's other texts. Inside the clinic's scope."""
    if message.channel != Channel.WHATSAPP or code is None:
        return False
    if code in OF_RECIPIENT:
        stop_preferring(message.org_id, message.recipient)
    elif code in OF_SENDER:
        pause(message.org_id, spoken_reason(code))
    elif code in OF_TEMPLATE:
        _alert_of_template(message, code)
    return code in NOT_DELIVERED or (code in CODES and 63_000 <= code < 64_000)


def stop_preferring(org_id: UUID, phone: str) -> None:
    """Who is not to be found on WhatsApp, or wants nothing there, is not looked for there again, until they write from
    there. Inside the scope."""
    agreed = Contact.objects.filter(org_id=org_id, phone=phone)
    agreed.filter(preferred_channel=Channel.WHATSAPP).update(preferred_channel="", updated_at=timezone.now())


def _alert_of_template(message: Message, code: int) -> None:
    title = f"WhatsApp refuses a clinic's template, so texts go by SMS: {spoken_reason(code)}"
    tell = partial(
        alert, Severity.WARNING, f"whatsapp_template:{message.org_id}:{message.kind}", title,
        org_id=str(message.org_id), kind=message.kind, code=code,
    )  # fmt: skip
    transaction.on_commit(tell)


def pause(org_id: UUID, reason: str, *, by_a_person: bool = False) -> bool:
    """Sends the clinic's texts by SMS from now on. True when this call did it: then operations is alerted."""
    with org_scope(org_id):
        running = SenderAccount.objects.filter(org_id=org_id, whatsapp_paused_reason="")
        if not running.update(whatsapp_paused_reason=reason[:200]):
            return False
        # What a person gave as the reason stays in the audit trail: nobody knows whom it names.
        why = "by a person" if by_a_person else reason
        title = f"A clinic's WhatsApp is paused, its texts go by SMS: {why}"
        tell = partial(alert, Severity.CRITICAL, f"{FINGERPRINT}:{org_id}", title, org_id=str(org_id))
        transaction.on_commit(tell)
    return True


def resume(org_id: UUID) -> bool:
    """Lets texts go by WhatsApp again. True when this call did it."""
    with org_scope(org_id):
        paused = SenderAccount.objects.filter(org_id=org_id).exclude(whatsapp_paused_reason="")
        if not paused.update(whatsapp_paused_reason=""):
            return False
        transaction.on_commit(partial(is_over, f"{FINGERPRINT}:{org_id}"))
    return True


def prefer(org_id: UUID, contact_id: UUID, source: str) -> None:
    """Notes that the person takes WhatsApp, unless they, or staff for them, chose otherwise. Inside the scope."""
    undecided = Contact.objects.filter(org_id=org_id, pk=contact_id, preferred_channel="")
    now = timezone.now()
    undecided.update(
        preferred_channel=Channel.WHATSAPP,
        whatsapp_consent_source=source,
        whatsapp_consent_at=now,
        updated_at=now,
    )
