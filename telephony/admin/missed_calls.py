"""Calls as Twilio brought them: who rang, whether anybody took it, how that was learnt, and the text that followed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from statistics import median
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from messaging.admin.messages import STATE_TONES as FATE_TONES
from messaging.admin.numbers import whole, whole_or_masked
from messaging.phone_numbers import is_withheld, mask
from telephony.models import ActiveCall, TextBack
from voxanne.staff.clinic_admin import ClinicAdmin, ReadOnly
from voxanne.staff.clock import today
from voxanne.staff.columns import NOTHING, badge, clinic_time, clock, label, link_to, shown
from voxanne.staff.filters import OfChoices, OfClinic, WholeDays
from voxanne.staff.start import Figure, Table, add_figure, add_table, counted

OUTCOME_TONES = {"": "info", "missed": "danger", "answered": "success", "gone": "", "given_up": "warning"}
TEXT_TONES = {"queued": "success", "no_sender": "danger"}
LOOKED_BACK = timedelta(hours=24)
MOST_MEASURED = 1_000


def waited(call: ActiveCall) -> float | None:
    """Seconds from the end of the dial until the text's request left."""
    if call.text_requested_at is None or call.dial_ended_at is None:
        return None
    return (call.text_requested_at - call.dial_ended_at).total_seconds()


@admin.register(ActiveCall)
class ActiveCallAdmin(ReadOnly, ClinicAdmin):
    list_display = (
        clock("When", "created_at"),
        "from_number_masked",
        "outcome_badge",
        "text_badge",
        "settled_by",
        "latency",
    )
    list_select_related = ("org", "message")
    list_filter = (
        ("org", OfClinic),
        ("outcome", OfChoices),
        ("text", OfChoices),
        ("settled_by", OfChoices),
        ("created_at", WholeDays),
    )
    search_fields = ("from_number", "=call_sid")
    search_help_text = "A number or its last digits, or Twilio's id of the call"
    ordering = ("-created_at",)
    readonly_fields = (
        "from_number_whole",
        "from_number_masked",
        "outcome_badge",
        "text_badge",
        "latency",
        "rang",
        "ended",
        "settled",
        "to_message",
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (
            "outcome_badge", whole_or_masked(request, obj, "from_number"), "to_number", "mode", "stage", "whisper",
            "rang", "ended", "settled", "settled_by", "text_badge", "to_message", "latency", "call_sid",
            "dial_call_sid",
        )  # fmt: skip

    from_number_whole = whole("From", "from_number")
    outcome_badge = badge("Outcome", "outcome", OUTCOME_TONES)

    @shown("Text", ordering="text")
    def text_badge(self, call: ActiveCall) -> SafeString:
        """What became of the caller's text: a written one has a fate of its own."""
        if call.message is not None and call.text == ActiveCall.Text.QUEUED:
            state = call.message.state
            return label(call.message.get_state_display(), FATE_TONES.get(state, ""))
        return (
            label(call.get_text_display(), TEXT_TONES.get(call.text, ""))
            if call.text
            else SafeString(NOTHING)
        )

    @shown("From")
    def from_number_masked(self, call: ActiveCall) -> str:
        return "Withheld" if is_withheld(call.from_number or None) else mask(call.from_number)

    @shown("Text after")
    def latency(self, call: ActiveCall) -> str:
        seconds = waited(call)
        return NOTHING if seconds is None else f"{seconds:.1f} s"

    @shown("Rang")
    def rang(self, call: ActiveCall) -> str:
        return clinic_time(call, call.created_at)

    @shown("Dial ended")
    def ended(self, call: ActiveCall) -> str:
        return clinic_time(call, call.dial_ended_at)

    @shown("Settled")
    def settled(self, call: ActiveCall) -> str:
        return clinic_time(call, call.processed_at)

    @shown("Text")
    def to_message(self, call: ActiveCall) -> SafeString | str:
        return link_to(call.message)


@admin.register(TextBack)
class TextBackAdmin(ReadOnly, ClinicAdmin):
    """Who gets no second text yet."""

    list_display = (clock("Texted", "texted_at"), "number", "caller_masked")
    list_filter = (("org", OfClinic), ("texted_at", WholeDays))
    search_fields = ("caller",)
    ordering = ("-texted_at",)
    readonly_fields = ("caller_whole", "caller_masked")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("texted_at", "number", whole_or_masked(request, obj, "caller"))

    caller_whole = whole("Caller", "caller")

    @shown("Caller")
    def caller_masked(self, text_back: TextBack) -> str:
        return mask(text_back.caller)


def _list(parameters: str = "") -> str:
    return reverse("admin:telephony_activecall_changelist") + parameters


def missed_today(request: HttpRequest) -> Figure:
    missed = ActiveCall.objects.filter(today(request, "created_at"), outcome=ActiveCall.Outcome.MISSED)
    texted = counted(missed.filter(text=ActiveCall.Text.QUEUED))
    return Figure(
        "Missed calls today", counted(missed), f"{texted} texted back", _list("?outcome__exact=missed")
    )


def how_they_were_found(request: HttpRequest) -> Table:
    """The newest settled calls of the last 24 hours, by the path that settled them."""
    since = timezone.now() - LOOKED_BACK
    settled = ActiveCall.objects.filter(processed=True, processed_at__gte=since).order_by("-processed_at")
    calls = list(settled[:MOST_MEASURED])
    rows = [
        _path_row(path, [call for call in calls if call.settled_by == path], len(calls))
        for path in ActiveCall.Path
    ]
    title = "How calls were settled, last 24 hours"
    columns = ("Path", "Settled", "Missed", "Second texts prevented", "Text after, median", "Slowest")
    return Table(title, columns, rows if calls else [], "No calls were settled.", _list(), "All calls")


def _path_row(path: ActiveCall.Path, calls: Sequence[ActiveCall], of: int) -> tuple[str, ...]:
    seconds = sorted(known for known in map(waited, calls) if known is not None)
    missed = sum(call.outcome == ActiveCall.Outcome.MISSED for call in calls)
    share = f"{len(calls)} ({100 * len(calls) / of:.0f} %)" if of else "0"
    prevented = sum(call.text == ActiveCall.Text.COOL_DOWN for call in calls)
    counts = (path.label, share, str(missed), str(prevented))
    if not seconds:
        return (*counts, NOTHING, NOTHING)
    return (*counts, f"{median(seconds):.1f} s", f"{seconds[-1]:.1f} s")


add_figure(22, missed_today)
add_table(30, how_they_were_found)
