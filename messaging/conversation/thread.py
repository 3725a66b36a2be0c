"""One thread of texts: what both sides wrote, in the order in which they wrote it. Inside the clinic's scope."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce

from messaging.models import InboundMessage, Message

A_PAGE = 30
# What an open page may grow to before it begins anew.
MOST_AT_ONCE = 300
Q_BEFORE, Q_SINCE = "lt", "gte"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A text of ours stands where it left; one that did not leave yet, where it was written.
LEFT = Coalesce("sent_at", "created_at")


class BadPlace(ValueError):
    """That is no place in a thread."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a text stands in its thread; no two stand in one place."""

    at: datetime
    id: UUID

    def __str__(self) -> str:
        return f"{(self.at - EPOCH) // timedelta(microseconds=1)}-{self.id.hex}"

    @classmethod
    def read(cls, text: str) -> Place:
        """The place that was written so. Raises BadPlace."""
        moment, _, pk = text.partition("-")
        try:
            if not moment.isdecimal() or not moment.isascii():
                raise BadPlace
            return cls(EPOCH + timedelta(microseconds=int(moment[:20])), UUID(hex=pk))
        except (ValueError, OverflowError) as error:
            raise BadPlace from error


@dataclass(frozen=True, slots=True)
class Entry:
    """One text: of ours (``message``) or of theirs (``received``)."""

    place: Place
    message: Message | None = None
    received: InboundMessage | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a thread, oldest first; ``more`` when there is something before it."""

    entries: list[Entry]
    more: bool

    @property
    def first(self) -> Place | None:
        return self.entries[0].place if self.entries else None


def newest(org_id: UUID, number: str) -> Page:
    """The end of the thread."""
    return _page(_received(org_id, number), _sent(org_id, number), A_PAGE)


def before(org_id: UUID, number: str, place: Place) -> Page:
    """What stands before ``place``, the nearest of it."""
    return _page(_received(org_id, number, Q_BEFORE, place), _sent(org_id, number, Q_BEFORE, place), A_PAGE)


def since(org_id: UUID, number: str, place: Place) -> Page:
    """Everything from ``place`` on, ``place`` included, up to ``MOST_AT_ONCE``."""
    return _page(
        _received(org_id, number, Q_SINCE, place), _sent(org_id, number, Q_SINCE, place), MOST_AT_ONCE
    )


def newest_received(org_id: UUID, number: str) -> Place | None:
    """Where their last text stands; None where they never wrote."""
    row = _received(org_id, number).first()
    return Place(row.created_at, row.pk) if row else None


def _received(
    org_id: UUID, number: str, side: str = "", place: Place | None = None
) -> QuerySet[InboundMessage]:
    texts = InboundMessage.objects.filter(org_id=org_id, sender=number)
    if place is not None:
        texts = texts.filter(_on_side("created_at", side, place))
    return texts.order_by("-created_at", "-pk")


def _sent(org_id: UUID, number: str, side: str = "", place: Place | None = None) -> QuerySet[Message]:
    texts = Message.objects.filter(org_id=org_id, recipient=number).select_related("author").alias(left=LEFT)
    if place is not None:
        texts = texts.filter(_on_side("left", side, place))
    return texts.order_by("-left", "-pk")


def _on_side(column: str, side: str, place: Place) -> Q:
    beyond = "lt" if side == Q_BEFORE else "gt"
    return Q(**{f"{column}__{beyond}": place.at}) | Q(**{column: place.at, f"pk__{side}": place.id})


def _page(received: QuerySet[InboundMessage], sent: QuerySet[Message], most: int) -> Page:
    theirs = [Entry(Place(row.created_at, row.pk), received=row) for row in received[: most + 1]]
    ours = [Entry(Place(row.sent_at or row.created_at, row.pk), message=row) for row in sent[: most + 1]]
    entries = sorted([*theirs, *ours], key=lambda entry: entry.place)
    return Page(entries[-most:], len(entries) > most)
