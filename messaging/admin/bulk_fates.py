"""What became of the texts that were put back at once: counted in words, and a filter that lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Func, Q, QuerySet, UUIDField
from django.http import HttpRequest

from messaging.models import BulkAct, Message
from messaging.states import MessageState
from messaging.undelivered.bulk_acts import STILL_UNDER_WAY
from voxanne.staff.bases import DropdownFilter

OF_ACT = "bulk"
ON_THEIR_WAY = (*STILL_UNDER_WAY, MessageState.SENT)


@dataclass(frozen=True, slots=True)
class Fates:
    """How the texts stand that an act has had its turn with; ``left`` were dead before it and are so still."""

    arrived: int
    died: int
    on_their_way: int
    otherwise: int
    left: int

    def in_words(self) -> str:
        """ "2 arrived, 1 died again, 0 on their way."; blank where none was put back."""
        if not self.arrived + self.died + self.on_their_way + self.otherwise:
            return ""
        told = f"{self.arrived:,} arrived, {self.died:,} died again, {self.on_their_way:,} on their way"
        return f"{told}, {self.otherwise:,} ended otherwise." if self.otherwise else f"{told}."


def fates_of(act: BulkAct) -> Fates:
    """Counts the texts of the act by what became of them since. Inside a scope that holds its clinic."""
    dead = Q(state=MessageState.DEAD_LETTER)
    again = Q(dead_lettered_at__gte=act.created_at)
    counted = Message.objects.filter(org_id=act.org_id, pk__in=handled_by(act.pk)).aggregate(
        all=Count("pk"),
        arrived=Count("pk", filter=Q(state=MessageState.DELIVERED)),
        died=Count("pk", filter=dead & again),
        on_their_way=Count("pk", filter=Q(state__in=ON_THEIR_WAY)),
        left=Count("pk", filter=dead & ~again),
    )
    known = sum(counted[name] for name in ("arrived", "died", "on_their_way", "left"))
    return Fates(
        arrived=counted["arrived"],
        died=counted["died"],
        on_their_way=counted["on_their_way"],
        otherwise=counted["all"] - known,
        left=counted["left"],
    )


def handled_by(act_id: UUID) -> QuerySet[Any]:
    """The ids of the texts that the act has had its turn with; the database unfolds them."""
    turn = Func(
        F("chosen"),
        F("handled"),
        template="unnest((%(expressions)s])",
        arg_joiner=")[1:",
        output_field=UUIDField(),
    )
    return BulkAct.objects.filter(pk=act_id).order_by().annotate(one=turn).values("one")


class OfBulkAct(DropdownFilter):
    """The texts of one act on many. Offered where a link asked for it, and nowhere else."""

    title = "sent again or discarded at once"
    parameter_name = OF_ACT

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        asked = self.value()
        return [(asked, "Those of one act")] if asked else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        try:
            act_id = UUID(self.value() or "")
        except ValueError:
            return queryset
        return queryset.filter(pk__in=handled_by(act_id))
