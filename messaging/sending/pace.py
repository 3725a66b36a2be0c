"""Each sender's pace: how many segments a second its number is granted, and when its next text may leave.

Twilio takes texts faster than that, but then queues them where our priorities mean nothing, and lets them lapse
(30001). So the queue is kept here: a text that comes too early is given the moment of its place in the sender's line,
put back until then, and goes at that moment without asking again.

A text that had its turn and could not go (another gate held it, Twilio was failing or busy, no worker came) does not
start anew behind all others. It stands in a second line of the same pace, beside the first: its share of the pace was
accounted for already, so it pushes nobody back, and while such texts catch up the number sends at most twice its pace.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID
from zlib import crc32

from django.utils import timezone

from messaging.models import Message, SenderAccount
from messaging.sending import lines
from messaging.sending.holds import Hold, Undecided
from messaging.states import MessageState
from monitoring import redis_link
from voxanne.tenancy.plan_cache import ClinicKey, PlanCache
from voxanne.tenancy.scope import within_org

# Segments a second by the kind of number, as Twilio grants them without asking (its help on rate limits and error
# 30001). A registered 10DLC campaign may be granted more: that is the clinic's own figure.
SHORT_CODE = 100.0
TOLL_FREE = 3.0
NORTH_AMERICA = 1.0
ELSEWHERE = 10.0
WHATSAPP = 80.0
TOLL_FREE_CODES = frozenset({"800", "833", "844", "855", "866", "877", "888"})
LONGEST_SHORT_CODE = 6
# A place is good for so long without asking: later, many of them together would be a burst.
PLACE_HOLDS = timedelta(seconds=60)
IN_LINE = "Waiting its turn: this number may send only so many texts a second."


def granted_to(sender: str) -> float:
    """Segments a second of a sender of this kind: a number in E.164, a short code, a name, or a WhatsApp address."""
    if sender.startswith("whatsapp:"):
        return WHATSAPP
    if sender.isdigit() and len(sender) <= LONGEST_SHORT_CODE:
        return SHORT_CODE
    if sender.startswith("+1"):
        return TOLL_FREE if sender[2:5] in TOLL_FREE_CODES else NORTH_AMERICA
    return ELSEWHERE


def _own_figure(org_id: UUID) -> int | None:
    with within_org(org_id):
        figures = SenderAccount.objects.filter(org_id=org_id).values_list("segments_per_second", flat=True)
        return figures.first()


_own_figures: PlanCache[int | None] = PlanCache(_own_figure)


def paced(message: Message, clinic: ClinicKey, now: datetime, _undecided: Undecided = ()) -> Hold | None:
    """Holds a text back until its place in the sender's line; a gate, and the last of them."""
    if _is_at_its_place(message, now):
        return None
    per_second = _own_figures.get(clinic) or granted_to(message.sender)
    late = _had_its_turn(message, now)
    left = message.expires_at - now
    wait = lines.take_place(
        _line_of(clinic.org_id, message.sender, late=late),
        seconds=max(message.segments, 1) / per_second,
        lane=message.priority,
        latest=left.total_seconds(),
    )
    if wait <= 0:
        return None
    place = now + timedelta(seconds=wait)
    if place >= message.expires_at:
        # No place was taken. A pace that is raised lets it ask again.
        return Hold(left, IN_LINE, may_end_sooner=True)
    return Hold(place - now, IN_LINE, columns={"slot_at": place, "next_attempt_at": place})


def _is_at_its_place(message: Message, now: datetime) -> bool:
    """Whether it comes from its place in the line. One that was put back for something else meanwhile, or let go by a
    person, is due at another moment and asks anew (``_had_its_turn``)."""
    place = message.slot_at
    return place is not None and place == message.next_attempt_at and place <= now <= place + PLACE_HOLDS


def _had_its_turn(message: Message, now: datetime) -> bool:
    """Whether a place of its pace was given to it before, one that is past or that it was tried at."""
    return message.first_attempted_at is not None or (message.slot_at is not None and message.slot_at <= now)


def _line_of(org_id: UUID, sender: str, *, late: bool = False) -> str:
    line = redis_link.key("pace", f"{org_id.hex}:{crc32(sender.encode()):08x}")
    return f"{line}:late" if late else line


def line_up_anew(org_id: UUID, sender: str) -> int:
    """Gives up all places in the sender's lines, so that its texts ask for new ones: when its pace was changed. Returns
    how many texts stood in them, those included for which there was no place in time."""
    for late in (False, True):
        lines.forget(_line_of(org_id, sender, late=late))
    now = timezone.now()
    with within_org(org_id):
        standing = Message.objects.filter(
            org_id=org_id,
            state=MessageState.QUEUED,
            sender=sender,
            next_attempt_at__gt=now,
            last_error=IN_LINE,
        )
        # Whoever changes a pace has the sender in hand, and so waits for no text (messaging/sending/pauses.py).
        free = standing.order_by("pk").select_for_update(of=("self",), skip_locked=True)
        pks = list(free.values_list("pk", flat=True))
        return Message.objects.filter(pk__in=pks).update(
            next_attempt_at=now, slot_at=None, last_error="", updated_at=now
        )
