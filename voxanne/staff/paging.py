"""Lists of big tables: never a full count."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from voxanne.staff.empty_lists import title_for, words_for

COUNTED_UP_TO = 1_000


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # takes no subscript at run time
    """Counts no further than ``COUNTED_UP_TO``; what lies beyond is reached by filters, not by pages."""

    template_name = "staff/pagination.html"

    @cached_property
    def count(self) -> int:
        return min(self._counted, COUNTED_UP_TO)

    @property
    def there_are_more(self) -> bool:
        return self._counted > COUNTED_UP_TO

    @property
    def told(self) -> str:
        """How many there are, in words: "1,000+" where they were not counted further."""
        return f"{self.count:,}{'+' if self.there_are_more else ''}"

    @cached_property
    def _counted(self) -> int:
        rows = self.object_list
        if isinstance(rows, QuerySet):
            return rows.order_by()[: COUNTED_UP_TO + 1].count()
        return len(rows)


class CappedChangeList(ChangeList):
    """Says "12 results (show all)" only where a filter or a search hides something; an empty one says what will stand
    there."""

    @property
    def empty_words(self) -> str:
        return words_for(self.opts)

    @property
    def empty_title(self) -> str:
        return title_for(self.opts)

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Without what the filter form sends empty."""
        given: dict[str, Any] = super().get_filters_params(params)
        return {name: values for name, values in given.items() if any(values)}

    def get_filters(self, request: HttpRequest) -> Any:
        """The declared filters and no others: a look-up of one's own in the address (``recipient__startswith``) would
        find out, a guess at a time, what the list masks. Raises IncorrectLookupParameters, at which the list starts
        afresh."""
        specs, has_filters, left_over, may_have_duplicates, has_active = super().get_filters(request)
        if left_over:
            raise IncorrectLookupParameters("The address asks for a filter that this list does not have.")
        return specs, has_filters, left_over, may_have_duplicates, has_active

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count
