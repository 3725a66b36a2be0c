"""Would it help to send a dead letter again? Judged by its time, by whose fault it was, and by what went out since."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.db.models import Max, Q

from messaging.models import Message, SenderAccount
from messaging.providers.twilio.codes import CODES, Fault
from messaging.states import MessageState

# Of a clinic's newest texts so many are looked at for one that went out.
NEWEST = 200
MENDED_BY_A_PERSON = frozenset({Fault.ACCOUNT})
HOPELESS = frozenset({Fault.RECIPIENT, Fault.OPT_OUT, Fault.CONTENT})
PASSING = frozenset({Fault.TRANSIENT, Fault.LIMIT})


class Chance(StrEnum):
    """Whether another try could end better; by whose fault it was and by its time alone, so that rows can be found."""

    LIKELY = "likely"
    WHEN_MENDED = "when_mended"
    UNSURE = "unsure"
    NO = "no"
    TOO_LATE = "too_late"


OVER = "Its time is over, or what it was about no longer stands. Discard it; ring the patient if it still matters."
TO_DECIDE = (
    "Nobody knows whether it arrived, so it is sent again neither by itself nor with others. Look at the provider's"
    " log, then mark it as sent, or send it again from its own page, where you are told that it may come twice."
)
WORDS = {
    Chance.LIKELY: "May help",
    Chance.WHEN_MENDED: "Once mended",
    Chance.UNSURE: "Look first",
    Chance.NO: "Will not help",
    Chance.TOO_LATE: "Too late",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A chance and the sentence that says why, and what to do."""

    chance: Chance
    why: str


@dataclass(frozen=True, slots=True)
class Sending:
    """How a clinic's sending stands: why it is paused (blank: it is not), and when a text last went out."""

    paused: str = ""
    last_sent_at: datetime | None = None


def codes_with(faults: Collection[Fault]) -> list[int]:
    return [code for code, known in CODES.items() if known.fault in faults]


def chance_of(message: Message, now: datetime) -> Chance:
    if message.expires_at <= now:
        return Chance.TOO_LATE
    if message.in_doubt_since is not None:
        return Chance.UNSURE
    code = message.error_code
    if code is None:
        return Chance.LIKELY if message.provider_sid == "" else Chance.UNSURE
    known = CODES.get(code)
    if known is None or known.fault is Fault.AMBIGUOUS:
        return Chance.UNSURE
    if known.fault in HOPELESS:
        return Chance.NO
    return Chance.WHEN_MENDED if known.fault in MENDED_BY_A_PERSON else Chance.LIKELY


def with_chance(chance: Chance, now: datetime) -> Q:
    """The dead letters of that chance, as ``chance_of`` tells them apart."""
    if chance is Chance.TOO_LATE:
        return Q(expires_at__lte=now)
    in_time, in_doubt = Q(expires_at__gt=now), Q(in_doubt_since__isnull=False)
    hopeless, mendable, passing = (codes_with(faults) for faults in (HOPELESS, MENDED_BY_A_PERSON, PASSING))
    not_taken = Q(error_code=None, provider_sid="")
    match chance:
        case Chance.NO:
            return in_time & ~in_doubt & Q(error_code__in=hopeless)
        case Chance.WHEN_MENDED:
            return in_time & ~in_doubt & Q(error_code__in=mendable)
        case Chance.LIKELY:
            return in_time & ~in_doubt & (not_taken | Q(error_code__in=passing))
    judged = [*hopeless, *mendable, *passing]
    return in_time & (
        in_doubt | Q(error_code=None) & ~not_taken | Q(error_code__isnull=False) & ~Q(error_code__in=judged)
    )


def judge(message: Message, sending: Sending, now: datetime) -> Judged:
    """The chance in words, with what is known of the clinic's sending. For a dead letter."""
    chance = chance_of(message, now)
    match chance:
        case Chance.TOO_LATE:
            return Judged(
                chance,
                OVER,
            )
        case Chance.NO:
            return Judged(
                chance, "It would be refused again. Reach the patient in another way, then discard it."
            )
        case Chance.UNSURE if message.in_doubt_since is not None:
            return Judged(chance, TO_DECIDE)
        case Chance.UNSURE:
            return Judged(
                chance, "It may have arrived. Ask the patient, or look at the provider's log, first."
            )
    if sending.paused:
        return Judged(
            Chance.WHEN_MENDED, "Sending is paused at the clinic: sent again, it waits for that to end."
        )
    if chance is Chance.LIKELY:
        return Judged(chance, "What stood in its way may have passed by now.")
    since = message.dead_lettered_at
    if sending.last_sent_at is not None and since is not None and sending.last_sent_at > since:
        return Judged(Chance.LIKELY, "It seems mended: other texts of the clinic have gone out since.")
    return Judged(chance, "First mend what the reason says; no text of the clinic has gone out since.")


def sending_of(org_ids: Collection[UUID]) -> Mapping[UUID, Sending]:
    """How sending stands at these clinics. Inside a scope that holds them."""
    paused = dict(SenderAccount.objects.filter(org_id__in=org_ids).values_list("org_id", "paused_reason"))
    return {org_id: Sending(paused.get(org_id, ""), _last_sent(org_id)) for org_id in org_ids}


def _last_sent(org_id: UUID) -> datetime | None:
    newest = Message.objects.filter(org_id=org_id).order_by("-created_at").values("pk")[:NEWEST]
    sent = Message.objects.filter(pk__in=newest, state__in=(MessageState.SENT, MessageState.DELIVERED))
    at: datetime | None = sent.aggregate(at=Max("sent_at"))["at"]
    return at
