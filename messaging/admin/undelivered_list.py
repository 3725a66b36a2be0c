"""The list of undelivered texts: its filters, what it groups, and the row that each text is judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from messaging.models import Message
from messaging.providers.twilio.codes import spoken_reason
from messaging.redrive_chances import WORDS, Chance, sending_of, with_chance
from messaging.states import MessageKind, MessageState
from voxanne.staff import people
from voxanne.staff.bases import DropdownFilter
from voxanne.staff.paging import CappedChangeList
from voxanne.tenancy.models import Organization

NO_CODE = "none"
WITHOUT_CODE = "Given up without a code of the provider's; each text's own page says why."
# Groups are counted over so many of the newest.
MOST_GROUPED = 10_000
MOST_GROUPS = 6


@dataclass(frozen=True, slots=True)
class Group:
    """So many of the listed texts have this in common; ``url`` lists them alone."""

    number: int
    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Grouping:
    title: str
    groups: Sequence[Group]


class ByReason(DropdownFilter):
    """By the provider's code, in the words that stand for it."""

    title = "reason"
    parameter_name = "why"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        dead = Message.objects.filter(state=MessageState.DEAD_LETTER).order_by()
        counted = newest(dead).values_list("error_code").annotate(number=Count("pk")).order_by("-number")
        return [(value_of(code), reason_of(code)) for code, _ in counted[:50]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        asked = self.value()
        if asked == NO_CODE:
            return queryset.filter(error_code=None)
        if asked and asked.isascii() and asked.isdecimal() and len(asked) <= 9:
            return queryset.filter(error_code=int(asked))
        return queryset


class ByChance(DropdownFilter):
    """By whether sending again could help."""

    title = "sending again"
    parameter_name = "again"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [(chance.value, words) for chance, words in WORDS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        asked = self.value()
        if asked is None or asked not in set(Chance):
            return queryset
        return queryset.filter(with_chance(Chance(asked), timezone.now()))


def value_of(code: int | None) -> str:
    return NO_CODE if code is None else str(code)


def reason_of(code: int | None) -> str:
    return WITHOUT_CODE if code is None else f"{spoken_reason(code)} ({code})"


def newest(dead: QuerySet[Any]) -> QuerySet[Any]:
    """The newest of these, as many as are grouped."""
    chosen = dead.order_by("-dead_lettered_at").values("pk")[:MOST_GROUPED]
    return Message.objects.filter(pk__in=chosen).order_by()


class UndeliveredList(CappedChangeList):
    """Dead letters and nothing else, each with how its clinic's sending stands, and all of them in groups."""

    groupings: Sequence[Grouping] = ()
    chosen_query = ""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        return rows.filter(state=MessageState.DEAD_LETTER)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        sending = sending_of({row.org_id for row in self.result_list})
        for row in self.result_list:
            row.sending = sending[row.org_id]
        self.chosen_query = self.get_query_string(remove=["p", "o", "e", "all"])
        if self.result_count:
            self.groupings = [grouping for grouping in self._grouped(request) if grouping.groups]

    def _grouped(self, request: HttpRequest) -> list[Grouping]:
        rows = newest(self.queryset)
        reasons = self._groups(rows, "error_code", "why", lambda code: (value_of(code), reason_of(code)))
        kinds = self._groups(rows, "kind", "kind__exact", lambda kind: (kind, str(MessageKind(kind).label)))
        found = [Grouping("By reason", reasons), Grouping("By kind", kinds)]
        if people.sole_clinic(request) is None:
            names = dict(Organization.objects.values_list("pk", "name"))
            clinics = self._groups(
                rows, "org_id", "org__id__exact", lambda pk: (str(pk), names.get(pk, "A clinic"))
            )
            found.insert(1, Grouping("By clinic", clinics))
        return found

    def _groups(self, rows: QuerySet[Any], column: str, parameter: str, told: Any) -> list[Group]:
        counted = rows.values_list(column).annotate(number=Count("pk")).order_by("-number")[:MOST_GROUPS]
        return [
            Group(number, text, self.get_query_string({parameter: value}, ["p"]))
            for key, number in counted
            for value, text in (told(key),)
        ]
