"""Calls: who rang, what was said, what the agent's tools did. Nobody writes here."""

from __future__ import annotations

import json
from typing import Any, cast

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from bookings.models import Appointment
from bookings.states import AppointmentStatus
from messaging.admin.numbers import whole, whole_or_masked
from messaging.phone_numbers import is_withheld, mask
from telephony.admin.recordings import player
from telephony.admin.words import outcome_in_words, tool_in_words
from telephony.models import Call, CallCommand, CallEvent, ToolInvocation
from telephony.recordings.links import LISTEN
from voxanne.staff import people
from voxanne.staff.clinic_admin import ClinicAdmin, ReadOnly, ReadOnlyTabular
from voxanne.staff.clock import today
from voxanne.staff.columns import (
    NOTHING,
    age,
    badge,
    clinic_time,
    clock,
    link,
    page_of,
    prose,
    short_span,
    shown,
)
from voxanne.staff.filters import OfChoices, OfClinic, WholeDays
from voxanne.staff.start import Figure, add_figure, counted

STATUS_TONES = {"ringing": "info", "in_progress": "info", "forwarding": "warning", "ended": ""}
COMMAND_TONES = {"queued": "info", "sending": "info", "done": "success", "dead": "danger"}


class ToolInvocationInline(ReadOnlyTabular):
    model = ToolInvocation
    verbose_name_plural = "what the agent's tools did"
    fields = ("at", "tool_told", "outcome_told", "answered")
    readonly_fields = fields

    @shown("Tool")
    def tool_told(self, invocation: ToolInvocation) -> str:
        return tool_in_words(invocation.tool)

    @shown("Came to")
    def outcome_told(self, invocation: ToolInvocation) -> str:
        return outcome_in_words(invocation)

    @shown("When")
    def at(self, invocation: ToolInvocation) -> str:
        return clinic_time(invocation, invocation.created_at)

    @shown("Said")
    def answered(self, invocation: ToolInvocation) -> SafeString | str:
        return said(invocation)


class CallEventInline(ReadOnlyTabular):
    """What was said is in the transcript once the call is over."""

    model = CallEvent
    verbose_name_plural = "its course"
    fields = ("happened", "kind", "role", "text")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        course: QuerySet[Any] = super().get_queryset(request)
        return course.filter(final=True).select_related("org").order_by("at")

    @shown("When")
    def happened(self, event: CallEvent) -> str:
        return f"{event.at.astimezone(event.org.zone):%H:%M:%S}"


class CallCommandInline(ReadOnlyTabular):
    model = CallCommand
    verbose_name_plural = "what the call was told to do"
    fields = ("kind", "state", "attempts", "last_error")
    readonly_fields = fields

    @shown("What")
    def kind(self, command: CallCommand) -> str:
        return command_kind(command)


def said(invocation: ToolInvocation) -> SafeString | str:
    """The sentence that was spoken, else the whole answer."""
    answer = invocation.answer
    result = answer.get("result") if isinstance(answer, dict) else None
    if isinstance(result, dict) and isinstance(result.get("say"), str):
        return prose(result["say"])
    return prose(json.dumps(answer, indent=1, ensure_ascii=False)) if answer else NOTHING


def command_kind(command: CallCommand) -> str:
    kind = command.body.get("type") if isinstance(command.body, dict) else None
    return {"transfer": "Put through", "end-call": "End the call", "say": "Say"}.get(str(kind), "Command")


@admin.register(Call)
class CallAdmin(ReadOnly, ClinicAdmin):
    list_display = (clock("When", "created_at"), "from_number_masked", "status_badge", "length", "came_to")
    list_filter = (
        ("org", OfClinic),
        ("created_at", WholeDays),
        ("status", OfChoices),
        ("outcome", OfChoices),
        ("ended_group", OfChoices),
    )
    search_fields = ("from_number", "=vapi_call_id", "=twilio_call_sid")
    masked_fields = ("from_number",)
    search_help_text = "A number or its last digits, or a provider's id of the call"
    ordering = ("-created_at",)
    inlines = (ToolInvocationInline, CallEventInline, CallCommandInline)
    readonly_fields = (
        "from_number_whole",
        "from_number_masked",
        "to_number_masked",
        "status_badge",
        "length",
        "started",
        "ended",
        "to_visit",
        "recording",
        "what_was_said",
        "in_short",
        "put_through",
        "tools",
        "why_it_ended",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the id of the newest visit that came of each call."""
        visits = Appointment.objects.filter(call_id=OuterRef("pk")).order_by("-created_at").values("pk")
        calls: Any = super().get_queryset(request).annotate(visit_id=Subquery(visits[:1]))
        return cast(QuerySet[Any], calls)

    def sections(self, request: HttpRequest, obj: Any = None) -> Any:
        heard = ["recording"] if people.holds(request, LISTEN, obj) else []
        return [
            (
                "Call",
                {
                    "fields": [
                        "status_badge",
                        whole_or_masked(request, obj, "from_number"),
                        "to_number",
                        "started",
                        "ended",
                        "length",
                        "why_it_ended",
                        "cost",
                    ]
                },
            ),
            (
                "What came of it",
                {"fields": ["outcome", "to_visit", "put_through", "tools", "sentiment", "in_short"]},
            ),
            ("What was said", {"fields": [*heard, "what_was_said"]}),
            ("At the providers", {"fields": ["vapi_call_id", "twilio_call_sid", "ended_reason"]}),
        ]

    from_number_whole = whole("From", "from_number")

    @shown("From")
    def from_number_masked(self, call: Call) -> str:
        return "Withheld" if is_withheld(call.from_number or None) else mask(call.from_number)

    @shown("To")
    def to_number_masked(self, call: Call) -> str:
        return mask(call.to_number)

    status_badge = badge("Status", "status", STATUS_TONES)

    @shown("Length")
    def length(self, call: Call) -> str:
        return short_span(call.ended_at - call.started_at) if call.started_at and call.ended_at else NOTHING

    @shown("Why it ended")
    def why_it_ended(self, call: Call) -> str:
        if not call.ended_reason:
            return NOTHING
        return call.get_ended_group_display()

    @shown("Tools used")
    def tools(self, call: Call) -> str:
        return ", ".join(map(tool_in_words, call.tools_used)) or NOTHING

    @shown("Came to")
    def came_to(self, call: Call) -> SafeString | str:
        if call.visit_id:  # type: ignore[attr-defined]  # annotated above
            return link(page_of("bookings_appointment", call.visit_id), "A visit")  # type: ignore[attr-defined]
        if call.transfer_department:
            return f"Put through ({call.transfer_department})"
        return call.get_outcome_display() if call.outcome else NOTHING

    @shown("Visit")
    def to_visit(self, call: Call) -> SafeString | str:
        if not call.visit_id:  # type: ignore[attr-defined]  # annotated above
            return NOTHING
        return link(page_of("bookings_appointment", call.visit_id), "The visit that was booked")  # type: ignore[attr-defined]

    @shown("Put through")
    def put_through(self, call: Call) -> str:
        return (
            f"To {call.transfer_department}: {call.transfer_summary}" if call.transfer_department else NOTHING
        )

    @shown("In short")
    def in_short(self, call: Call) -> SafeString | str:
        return prose(call.summary)

    @shown("Recording")
    def recording(self, call: Call) -> SafeString | str:
        return player(call)

    @shown("Transcript")
    def what_was_said(self, call: Call) -> SafeString | str:
        return prose(call.transcript)

    @shown("Started")
    def started(self, call: Call) -> str:
        return clinic_time(call, call.started_at or call.created_at)

    @shown("Ended")
    def ended(self, call: Call) -> str:
        return clinic_time(call, call.ended_at)


@admin.register(ToolInvocation)
class ToolInvocationAdmin(ReadOnly, ClinicAdmin):
    list_display = (clock("When", "created_at"), "tool_told", "outcome_told", "to_call")
    list_select_related = ("org", "call")
    list_filter = (("org", OfClinic), ("created_at", WholeDays))
    search_fields = ("=tool", "=outcome")
    ordering = ("-created_at",)
    fields = ("created_at", "to_call", "tool_told", "outcome_told", "answered", "tool_call_id")
    readonly_fields = ("to_call", "tool_told", "outcome_told", "answered")

    @shown("Tool", ordering="tool")
    def tool_told(self, invocation: ToolInvocation) -> str:
        return tool_in_words(invocation.tool)

    @shown("Came to", ordering="outcome")
    def outcome_told(self, invocation: ToolInvocation) -> str:
        return outcome_in_words(invocation)

    @shown("Call")
    def to_call(self, invocation: ToolInvocation) -> SafeString | str:
        return link(page_of("telephony_call", invocation.call_id), "Its call")

    @shown("Said")
    def answered(self, invocation: ToolInvocation) -> SafeString | str:
        return said(invocation)


@admin.register(CallCommand)
class CallCommandAdmin(ReadOnly, ClinicAdmin):
    list_display = (clock("When", "created_at"), "kind", "state_badge", "attempts", age("Age", "created_at"))
    list_filter = (("org", OfClinic), ("state", OfChoices), ("created_at", WholeDays))
    ordering = ("-created_at",)
    fields = ("created_at", "to_call", "kind", "state_badge", "attempts", "last_error", "next_attempt_at")
    readonly_fields = ("to_call", "kind", "state_badge")

    @shown("Call")
    def to_call(self, command: CallCommand) -> SafeString | str:
        return link(page_of("telephony_call", command.call_id), "Its call")

    @shown("What")
    def kind(self, command: CallCommand) -> str:
        return command_kind(command)

    state_badge = badge("State", "state", COMMAND_TONES)


def calls_today(request: HttpRequest) -> Figure:
    calls = Call.objects.filter(today(request, "created_at"))
    visits = Appointment.objects.filter(call_id__in=calls.values("pk"))
    booked = counted(visits.exclude(status=AppointmentStatus.CANCELLED))
    return Figure(
        "Calls today",
        counted(calls),
        "1 visit came of them" if booked == "1" else f"{booked} visits came of them",
        reverse("admin:telephony_call_changelist"),
    )


add_figure(20, calls_today)
