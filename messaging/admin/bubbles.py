"""A thread as it is shown: days on the clinic's clock, and in them one bubble a text."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.utils import timezone

from messaging.admin.reasons import reason
from messaging.conversation.media import Medium, media_of
from messaging.conversation.replies import is_by_staff
from messaging.conversation.thread import Entry, Page
from messaging.models import InboundMessage, Message
from messaging.states import MessageKind, MessageState
from voxanne.staff.clock import tells_zone
from voxanne.staff.columns import page_of
from voxanne.tenancy.models import Organization, User

# What went well needs no sentence: the word for it says enough.
NEEDS_NO_REASON = (MessageState.SENT, MessageState.DELIVERED)
FAILED = (MessageState.DEAD_LETTER, MessageState.SUPPRESSED, MessageState.EXPIRED)
WITHOUT_WORDS = "(no words)"
KEYWORDS = {
    "STOP": "Asked for no more texts. The carrier answered.",
    "START": "Wants texts again. The carrier answered.",
    "HELP": "Asked for help. The carrier answered.",
}


@dataclass(frozen=True, slots=True)
class Bubble:
    """One text. ``tone`` is failed, waiting or blank; ``url`` leads to the text's own page."""

    ours: bool
    time: str
    words: str
    url: str
    who: str = ""
    state: str = ""
    why: str = ""
    tone: str = ""
    media: list[Medium] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Day:
    """A local day and its bubbles, oldest first."""

    key: str
    title: str
    bubbles: list[Bubble]


def days_of(page: Page, clinic: Organization, reader: User | None) -> list[Day]:
    """The page's texts under their days, for ``reader``."""
    today = timezone.now().astimezone(clinic.zone).date()
    days: list[Day] = []
    for entry in page.entries:
        local = entry.place.at.astimezone(clinic.zone)
        if not days or days[-1].key != local.date().isoformat():
            days.append(Day(local.date().isoformat(), day_title(local.date(), today), []))
        days[-1].bubbles.append(_bubble(entry, local, reader))
    return days


def day_title(day: date, today: date) -> str:
    """ "Today", "Yesterday", "Tuesday 24 November", with the year where it is another."""
    if day == today:
        return "Today"
    if day == today - timedelta(days=1):
        return "Yesterday"
    return f"{day:%A %-d %B}" if day.year == today.year else f"{day:%A %-d %B %Y}"


def _bubble(entry: Entry, local: datetime, reader: User | None) -> Bubble:
    told = f"{local:%H:%M}{f' {local:%Z}' if tells_zone() else ''}"
    if entry.message is not None:
        return _ours(entry.message, told, reader)
    assert entry.received is not None
    return _theirs(entry.received, told)


def _ours(message: Message, told: str, reader: User | None) -> Bubble:
    state = MessageState(message.state)
    tone = "failed" if state in FAILED else "" if state in NEEDS_NO_REASON else "waiting"
    return Bubble(
        ours=True,
        time=told,
        words=message.body,
        url=page_of("messaging_message", message.pk),
        who=_who(message, reader),
        state=message.get_state_display(),
        why="" if state in NEEDS_NO_REASON else reason(message),
        tone=tone,
    )


def _who(message: Message, reader: User | None) -> str:
    if message.author is not None:
        return (
            "You" if message.author == reader else (message.author.get_full_name() or message.author.username)
        )
    if is_by_staff(message):
        return "Staff"
    return "Automatic answer" if message.kind == MessageKind.REPLY else message.get_kind_display()


def _theirs(text: InboundMessage, told: str) -> Bubble:
    media = media_of(text.media)
    return Bubble(
        ours=False,
        time=told,
        words=text.body or ("" if media else WITHOUT_WORDS),
        url=page_of("messaging_inboundmessage", text.pk),
        why=KEYWORDS.get(text.keyword, ""),
        media=media,
    )
