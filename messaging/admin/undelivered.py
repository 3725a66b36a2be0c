"""Undelivered texts: the page that operations come for. Why each one died, whether sending again can help, and the acts
on one, on those chosen, and on all that the filters leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html
from django.utils.safestring import SafeString

from messaging.admin.bulk_fates import OfBulkAct
from messaging.admin.dead_letters import MAY_DISCARD, MAY_REDRIVE, ROW_BUTTONS, is_dead, left_in_doubt, vain
from messaging.admin.export import MOST_EXPORTED, csv_lines, record_export
from messaging.admin.messages import MessageAdmin
from messaging.admin.reasons import reason
from messaging.admin.undelivered_list import ByChance, ByReason, UndeliveredList
from messaging.admin.unknown import ROW_BUTTONS as BUTTONS_OF_UNKNOWN
from messaging.models import BulkAct, DeadLetter, Message
from messaging.undelivered.bulk_acts import MOST_CHOSEN, PAUSE, ROWS_A_STEP, Asked, KeyOfAnotherAct, ask_for
from messaging.undelivered.dead_letters import in_doubt
from messaging.undelivered.redrive_chances import WORDS, Chance, Judged, judge, sending_of, with_chance
from voxanne.staff import people
from voxanne.staff.asking import WithReason
from voxanne.staff.audit import record_act
from voxanne.staff.clock import on_the_clinics_clock
from voxanne.staff.columns import age, clock, label, shown
from voxanne.staff.filters import OfChoices, OfClinic, WholeDays
from voxanne.staff.refusal import may_not, who_may
from voxanne.staff.rows import buttons
from voxanne.tenancy.scope import required_scope

CHANCE_TONES = {
    Chance.LIKELY: "success",
    Chance.WHEN_MENDED: "warning",
    Chance.UNSURE: "info",
    Chance.NO: "danger",
    Chance.TOO_LATE: "",
}
Act = BulkAct.Act
NEEDS = {Act.REDRIVE: MAY_REDRIVE, Act.DISCARD: MAY_DISCARD}
QUESTIONS = {
    Act.REDRIVE: ("Send all of these again?", "Yes, send them again"),
    Act.DISCARD: ("Discard all of these?", "Yes, discard them"),
}
STEP_SECONDS = int(PAUSE.total_seconds())
A_SECOND = ROWS_A_STEP // STEP_SECONDS
LEAVE_OUT = "filter by “Sending again” to leave them out"
EXPLAINED = {
    Act.REDRIVE: f"They go back in the queue in the background, about {A_SECOND} a second for each clinic, behind"
    " everything else that waits. Texts whose time is over are left alone. If most of the first ones die again, the"
    " rest is left alone too. Mend what kept them from arriving first.",
    Act.DISCARD: "They will not be sent, and no longer ask for attention. Tell the patients in another way if it"
    " matters.",
}
USED_BEFORE = (
    "Nothing was done: this page was used before, for something else. Go back to the list and ask anew."
)


@admin.register(DeadLetter)
class DeadLetterAdmin(MessageAdmin):
    list_display: Any = (
        clock("Given up", "dead_lettered_at"),
        "to_whom",
        "kind",
        "why",
        "chance_badge",
        "tried",
        age("Age", "dead_lettered_at"),
    )
    list_filter: ClassVar[Any] = (
        ("org", OfClinic),
        ByReason,
        ByChance,
        ("kind", OfChoices),
        ("dead_lettered_at", WholeDays),
        OfBulkAct,
    )
    ordering = ("-dead_lettered_at",)
    list_before_template = "messaging/undelivered_head.html"
    readonly_fields: ClassVar[Any] = (*MessageAdmin.readonly_fields, "chance_told")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[UndeliveredList]:
        return UndeliveredList

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = [one for one in super().get_list_display(request) if getattr(one, "__name__", "") != "acts"]
        return [*columns, buttons(request, "messaging_deadletter", (*ROW_BUTTONS, *BUTTONS_OF_UNKNOWN))]

    def sections(self, request: HttpRequest, obj: Any = None) -> Any:
        (first, options), *others = super().sections(request, obj)
        fields = [*options["fields"]]
        if obj is not None and is_dead(obj):
            fields.insert(fields.index("why") + 1, "chance_told")
        return [(first, {**options, "fields": fields}), *others]

    def get_urls(self) -> list[URLPattern]:
        names = (
            ("redrive-all", self.redrive_all),
            ("discard-all", self.discard_all),
            ("export", self.export),
        )
        own = [
            path(
                f"{name}/",
                self.admin_site.admin_view(view),
                name=f"messaging_deadletter_{name.replace('-', '_')}",
            )
            for name, view in names
        ]
        return [*own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        mine = people.roles(request).keys()
        may = {
            "may_redrive": people.holds(request, MAY_REDRIVE),
            "may_discard": people.holds(request, MAY_DISCARD),
        }
        who = [] if may["may_redrive"] else who_may(MAY_REDRIVE, mine)
        return super().changelist_view(request, {**may, "who_may": who, **(extra_context or {})})

    # --- What is shown of a text ------------------------------------------------------------------

    @shown("What happened", ordering="error_code")
    def why(self, message: Message) -> SafeString | str:
        told = reason(message)
        if message.error_code is None or str(message.error_code) in told:
            return told
        sentence = '<div class="staff-cell">{} <span class="staff-quiet">Code {}</span></div>'
        return format_html(sentence, told, message.error_code)

    @shown("Tried")
    def tried(self, message: DeadLetter) -> str:
        """In all its lives: put back in the queue, a text has its attempts anew."""
        times = max(getattr(message, "times_tried", 0), message.attempts)
        return f"{times} time{'' if times == 1 else 's'}"

    @shown("Sending again")
    def chance_badge(self, message: DeadLetter) -> SafeString:
        judged = _judged(message)
        tone = CHANCE_TONES[judged.chance]
        return format_html('<span title="{}">{}</span>', judged.why, label(WORDS[judged.chance], tone))

    @shown("Sending again")
    def chance_told(self, message: DeadLetter) -> SafeString:
        judged = _judged(message)
        return format_html("{} {}", label(WORDS[judged.chance], CHANCE_TONES[judged.chance]), judged.why)

    # --- Acts on all that the filters leave --------------------------------------------------------

    @on_the_clinics_clock
    def redrive_all(self, request: HttpRequest) -> HttpResponse:
        return self._all(request, Act.REDRIVE)

    @on_the_clinics_clock
    def discard_all(self, request: HttpRequest) -> HttpResponse:
        return self._all(request, Act.DISCARD)

    def export(self, request: HttpRequest) -> HttpResponseBase:
        """What the filters leave, as CSV, of the clinics where the person may send texts again. Each such clinic's
        audit trail says who took how many, and by which filters."""
        allowed = people.allowed_clinics(request, MAY_REDRIVE)
        if allowed is not None and not allowed:
            return may_not(self, request, MAY_REDRIVE)
        rows = self._in_filter(request)
        if rows is None:
            return HttpResponseRedirect(self._list())
        rows = rows if allowed is None else rows.filter(org_id__in=allowed)
        chosen = list(rows.order_by("-dead_lettered_at").values_list("org_id", "pk")[:MOST_EXPORTED])
        record_export(request, Counter(org_id for org_id, _ in chosen))
        lines = csv_lines(required_scope(), [pk for _, pk in chosen])
        answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = (
            f'attachment; filename="undelivered-texts-{timezone.now():%Y-%m-%d}.csv"'
        )
        answer["Cache-Control"] = "no-store"
        return answer

    def _all(self, request: HttpRequest, act: BulkAct.Act) -> HttpResponse:
        """GET asks, POST with a reason writes the act down. What died after the question was shown is no part of it."""
        allowed = people.allowed_clinics(request, NEEDS[act])
        if allowed is not None and not allowed:
            return may_not(self, request, NEEDS[act])
        rows = self._in_filter(request)
        if rows is None:
            return HttpResponseRedirect(self._list())
        shown_at = _moment(request.POST.get("shown_at"))
        rows = rows.filter(dead_lettered_at__lte=shown_at)
        rows = rows if allowed is None else rows.filter(org_id__in=allowed)
        form = _reason_form(request)
        if request.method == "POST" and form.is_valid():
            return self._write_down(request, act, rows, form.cleaned_data["reason"])
        return self._question(request, act, rows, form, shown_at)

    def _write_down(
        self, request: HttpRequest, act: BulkAct.Act, rows: QuerySet[DeadLetter], why: str
    ) -> HttpResponse:
        chosen = list(rows.order_by("dead_lettered_at").values_list("org_id", "pk")[:MOST_CHOSEN])
        key = _key(request.POST.get("asked_key"))
        try:
            asked = ask_for(act, chosen, reason=why, asked_by=people.person(request), asked_key=key)
        except KeyOfAnotherAct:
            messages.error(request, USED_BEFORE)
            return HttpResponseRedirect(self._list())
        if not asked.acts:
            messages.warning(request, "There is nothing left to do: somebody was quicker.")
            return HttpResponseRedirect(self._list())
        for one in asked.made:
            record_act(request, one, f"messages.{act.value}_all", why)
        messages.success(request, _told_of(asked))
        return HttpResponseRedirect(_page_of(asked.acts))

    def _question(
        self,
        request: HttpRequest,
        act: BulkAct.Act,
        rows: QuerySet[DeadLetter],
        form: Any,
        shown_at: datetime,
    ) -> HttpResponse:
        number = rows.order_by()[: MOST_CHOSEN + 1].count()
        question, yes = QUESTIONS[act]
        now = timezone.now()
        late = (
            rows.exclude(in_doubt())
            .filter(with_chance(Chance.TOO_LATE, now))
            .order_by()[:MOST_CHOSEN]
            .count()
        )
        doubtful = rows.filter(in_doubt()).order_by()[:MOST_CHOSEN].count()
        hopeless = rows.filter(with_chance(Chance.NO, now)).order_by()[:MOST_CHOSEN].count()
        context = {
            **self.admin_site.each_context(request),
            "title": question,
            "yes": yes,
            "explanation": EXPLAINED[act],
            "grave": act == Act.DISCARD,
            "number": min(number, MOST_CHOSEN),
            "more": number > MOST_CHOSEN,
            "vain": vain(late, hopeless, LEAVE_OUT) if act == Act.REDRIVE else [],
            "in_doubt": left_in_doubt(doubtful) if act == Act.REDRIVE and doubtful else "",
            "minutes": -(-number // (60 * A_SECOND)) if act == Act.REDRIVE else 0,
            "form": form,
            "shown_at": shown_at.isoformat(),
            "asked_key": request.POST.get("asked_key") or uuid4(),
            "back": self._list() + (f"?{request.GET.urlencode()}" if request.GET else ""),
            "opts": self.opts,
            "media": self.media,
        }
        return TemplateResponse(request, "messaging/bulk_question.html", context)

    def _in_filter(self, request: HttpRequest) -> QuerySet[DeadLetter] | None:
        """What the list shows with these filters, on all its pages; None where they cannot be read."""
        try:
            rows: QuerySet[DeadLetter] = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            return None
        return rows.order_by().select_related(None)

    def _list(self) -> str:
        return reverse("admin:messaging_deadletter_changelist")


def _reason_form(request: HttpRequest) -> Any:
    kind: Any = WithReason
    return kind(data=request.POST if request.method == "POST" else None, request=request)


def _judged(message: DeadLetter) -> Judged:
    sending = getattr(message, "sending", None) or sending_of([message.org_id])[message.org_id]
    return judge(message, sending, timezone.now())


def _moment(given: str | None) -> datetime:
    """When the question was shown: never later than now."""
    now = timezone.now()
    try:
        shown_at = parse_datetime(given or "")
    except ValueError:
        return now
    return min(shown_at, now) if shown_at is not None and timezone.is_aware(shown_at) else now


def _key(given: str | None) -> UUID:
    try:
        return UUID(given or "")
    except ValueError:
        return uuid4()


def _told_of(asked: Asked) -> str:
    if not asked.made:
        return "This was asked for already, and is being seen to once."
    number = sum(len(one.chosen) for one in asked.made)
    return f"{number:,} texts are being seen to in the background."


def _page_of(acts: Sequence[BulkAct]) -> str:
    if len(acts) == 1:
        return reverse("admin:messaging_bulkact_change", args=(acts[0].pk,))
    return reverse("admin:messaging_bulkact_changelist")
