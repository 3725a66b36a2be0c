"""What is being done, and was done, to many texts at once: how far it has come, and a way to stop it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import F, Func, IntegerField, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from messaging.admin.bulk_fates import OF_ACT, Fates, fates_of
from messaging.admin.dead_letters import MAY_REDRIVE, left_in_doubt
from messaging.models import BulkAct
from messaging.undelivered.bulk_acts import go_on, stop
from messaging.undelivered.bulk_states import BulkState
from voxanne.staff.asking import Told, WithReason, asks_about_row
from voxanne.staff.audit import record_act
from voxanne.staff.clinic_admin import ClinicAdmin, ReadOnly
from voxanne.staff.columns import NOTHING, badge, clinic_time, clock, label, link, shown
from voxanne.staff.filters import OfChoices, OfClinic, WholeDays
from voxanne.staff.rows import RowButton, buttons

TONES = {"queued": "info", "working": "info", "done": "success", "stopped": "warning"}
LIVE = (BulkState.QUEUED, BulkState.WORKING)
SECONDS_TO_LOOK_AGAIN = 3
# When it is over, its texts are on their way for a while.
SECONDS_TO_LOOK_AFTER = 10
LOOKED_AFTER = timedelta(minutes=10)


def is_live(act: BulkAct) -> bool:
    return act.state in LIVE


def is_stopped(act: BulkAct) -> bool:
    return act.state == BulkState.STOPPED


ROW_BUTTONS = (
    RowButton("stop", "Stop", MAY_REDRIVE, is_live),
    RowButton("go_on", "Go on", MAY_REDRIVE, is_stopped),
)


@admin.register(BulkAct)
class BulkActAdmin(ReadOnly, ClinicAdmin):
    list_display = (clock("Asked for", "created_at"), "act", "progress", "state_badge", "reason", "asked_by")
    list_select_related = ("org", "asked_by")
    list_filter = (("org", OfClinic), ("act", OfChoices), ("state", OfChoices), ("created_at", WholeDays))
    ordering = ("-created_at",)
    actions_detail = ("stop", "go_on")
    fields = ("act", "state_told", "progress", "came_to", "since", "reason", "asked_by", "asked_for", "texts")
    readonly_fields = ("state_told", "progress", "came_to", "since", "asked_for", "texts")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With how many texts were chosen; which, nobody reads."""
        rows: Any = super().get_queryset(request)
        chosen = Func(F("chosen"), function="cardinality", output_field=IntegerField())
        counted: QuerySet[Any] = rows.defer("chosen").annotate(total=chosen)
        return counted

    def get_list_display(self, request: HttpRequest) -> Any:
        return [*super().get_list_display(request), buttons(request, "messaging_bulkact", ROW_BUTTONS)]

    def fits(self, act: str, row: BulkAct) -> bool:
        return is_live(row) if act == "stop" else is_stopped(row)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Looks again by itself for as long as it is under way."""
        answer = super().change_view(request, object_id, form_url, extra_context)
        # The very row that the page shows: read once more, it might be over while the page still says otherwise.
        row = (getattr(answer, "context_data", None) or {}).get("original")
        seconds = _look_again_after(row) if row is not None else None
        if seconds is not None:
            answer["Refresh"] = str(seconds)
        return answer

    state_badge = badge("State", "state", TONES)

    @shown("State")
    def state_told(self, act: BulkAct) -> SafeString:
        """Not green where what was put back died again."""
        died = act.state == BulkState.DONE and act.act == BulkAct.Act.REDRIVE and _fates(act).died
        return label(act.get_state_display(), "warning" if died else TONES[act.state])

    @shown("Progress")
    def progress(self, act: Any) -> str:
        share = 100 * act.handled // act.total if act.total else 100
        return f"{act.handled:,} of {act.total:,} ({share} %)"

    @shown("Came to")
    def came_to(self, act: BulkAct) -> str:
        verb = "put back in the queue" if act.act == BulkAct.Act.REDRIVE else "discarded"
        told = f"{act.changed:,} {verb}."
        left = act.handled - act.changed - act.in_doubt
        if left > 0:
            told += f" {left:,} left alone: their time is over, or somebody was quicker."
        if act.in_doubt:
            told += f" {left_in_doubt(act.in_doubt)}"
        return f"{told} {act.last_error}" if act.last_error else told

    @shown("Since then")
    def since(self, act: BulkAct) -> SafeString | str:
        """What became of the texts, with the way to them."""
        if act.act != BulkAct.Act.REDRIVE:
            return NOTHING
        fates = _fates(act)
        told = fates.in_words()
        if not told:
            return NOTHING
        those = f"?{OF_ACT}={act.pk}"
        texts = link(reverse("admin:messaging_message_changelist") + those, "These texts")
        if not fates.died:
            return format_html("Of these {} {}", told, texts)
        dead = link(reverse("admin:messaging_deadletter_changelist") + those, "Those that are undelivered")
        return format_html("Of these {} {} · {}", told, texts, dead)

    @shown("Asked for")
    def asked_for(self, act: BulkAct) -> str:
        return clinic_time(act, act.created_at)

    @shown("Texts")
    def texts(self, act: BulkAct) -> SafeString | str:
        return link(reverse("admin:messaging_deadletter_changelist"), "What is undelivered now")

    @asks_about_row(
        "Stop",
        question="Stop here?",
        explanation="What is not handled yet stays as it is. You can go on later.",
        yes="Yes, stop",
        permission=MAY_REDRIVE,
        form=WithReason,
        icon="pause_circle",
        grave=True,
    )
    def stop(self, request: HttpRequest, act: BulkAct, given: dict[str, Any]) -> Told:
        if not stop(act):
            return Told("It was over already.", done=False)
        record_act(request, act, "bulk_act.stop", given["reason"])
        return Told("Stopped. What is not handled yet stays as it is.")

    @asks_about_row(
        "Go on",
        question="Go on with the rest?",
        explanation="It goes on where it stopped. Mend what made it stop first.",
        yes="Yes, go on",
        permission=MAY_REDRIVE,
        form=WithReason,
        icon="play_circle",
    )
    def go_on(self, request: HttpRequest, act: BulkAct, given: dict[str, Any]) -> Told:
        if not go_on(act):
            return Told("It is not stopped.", done=False)
        record_act(request, act, "bulk_act.go_on", given["reason"])
        return Told("It goes on.")


def _fates(act: Any) -> Fates:
    """Counted once for a page."""
    if not hasattr(act, "fates"):
        act.fates = fates_of(act)
    fates: Fates = act.fates
    return fates


def _look_again_after(act: BulkAct) -> int | None:
    """Seconds until the page is asked for again; None where nothing on it moves by itself any more."""
    if is_live(act):
        return SECONDS_TO_LOOK_AGAIN
    if act.act != BulkAct.Act.REDRIVE or act.updated_at < timezone.now() - LOOKED_AFTER:
        return None
    return SECONDS_TO_LOOK_AFTER if _fates(act).on_their_way else None
