"""The list of undelivered texts: its filters, what it groups, and the row that each text is judged on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from messaging.models import DeliveryAttempt, Message
from messaging.providers.twilio.codes import spoken_reason
from messaging.states import MessageKind, MessageState
from messaging.undelivered.redrive_chances import WORDS, Chance, sending_of, with_chance
from voxanne.staff import people
from voxanne.staff.bases import DropdownFilter
from voxanne.staff.paging import CappedChangeList
from voxanne.tenancy.models import Organization

NO_CODE = "none"
WITHOUT_CODE = "Given up without a code of the provider's; each text's own page says why."
# Groups are counted over so many of the newest.
MOST_GROUPED = 10_000
MOST_GROUPS = 6
MOST_REASONS = 50


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
        dead = Message.objects.filter(state=MessageState.DEAD_LETTER)
        counted = Counter(newest(dead).values_list("error_code", flat=True))
        return [(value_of(code), reason_of(code)) for code, _ in counted.most_common(MOST_REASONS)]

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
    """The newest of these, as many as are grouped. Read as they are and counted here: for the database, to group what
    it first cuts short costs more."""
    return dead.order_by("-dead_lettered_at").select_related(None)[:MOST_GROUPED]


def _times_tried(pks: Sequence[UUID]) -> dict[UUID, int]:
    tries = DeliveryAttempt.objects.filter(message__in=pks).order_by().values("message_id")
    return dict(tries.annotate(number=Count("pk")).values_list("message_id", "number"))


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
        tried = _times_tried([row.pk for row in self.result_list])
        for row in self.result_list:
            row.sending = sending[row.org_id]
            row.times_tried = tried.get(row.pk, 0)
        self.chosen_query = self.get_query_string(remove=["p", "o", "e", "all"])
        if self.result_count:
            self.groupings = [grouping for grouping in self._grouped(request) if grouping.groups]

    def _grouped(self, request: HttpRequest) -> list[Grouping]:
        rows = list(newest(self.queryset).values_list("error_code", "kind", "org_id"))
        reasons = self._groups(
            "why", Counter(code for code, _, _ in rows), lambda code: (value_of(code), reason_of(code))
        )
        kinds = self._groups(
            "kind__exact", Counter(kind for _, kind, _ in rows), lambda kind: (kind, MessageKind(kind).label)
        )
        found = [Grouping("By reason", reasons), Grouping("By kind", kinds)]
        if people.sole_clinic(request) is None:
            clinics = Counter(org_id for _, _, org_id in rows)
            names = dict(Organization.objects.filter(pk__in=clinics).values_list("pk", "name"))
            listed = self._groups("org__id__exact", clinics, lambda pk: (str(pk), names.get(pk, "A clinic")))
            found.insert(1, Grouping("By clinic", listed))
        return found

    def _groups(
        self, parameter: str, counted: Counter[Any], told: Callable[[Any], tuple[str, str]]
    ) -> list[Group]:
        """The biggest ones; ``told`` says of each key the filter's value and the words."""
        found = []
        for key, number in counted.most_common(MOST_GROUPS):
            value, text = told(key)
            found.append(Group(number, text, self.get_query_string({parameter: value}, ["p"])))
        return found
