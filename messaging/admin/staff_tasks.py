"""What is to do at the desk: seen, and taken on by whoever sees to it. Nobody writes, edits or deletes one here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import EmptyFieldListFilter
from django.db.models import Case, F, OuterRef, Q, QuerySet, Subquery, When
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextInputWidget

from messaging.admin.messages import STATE_TONES
from messaging.admin.numbers import whole, whole_or_masked
from messaging.admin.subjects import link_to_subject
from messaging.models import Message, StaffTask
from messaging.phone_numbers import is_withheld, mask
from messaging.staff_tasks import acknowledge
from messaging.states import MessageState, TaskKind
from voxanne.staff.asking import Told, asks_about_row, asks_about_rows
from voxanne.staff.audit import record_act
from voxanne.staff.bases import DialogForm
from voxanne.staff.clinic_admin import ClinicAdmin, ReadOnly
from voxanne.staff.columns import (
    NOTHING,
    age,
    badge,
    clinic_time,
    clock,
    label,
    link,
    link_to,
    page_of,
    prose,
    shown,
)
from voxanne.staff.filters import OfChoices, OfClinic, WholeDays
from voxanne.staff.people import person
from voxanne.staff.rows import RowButton, buttons
from voxanne.staff.start import Figure, add_figure, counted

MAY_ACKNOWLEDGE = "messaging.change_stafftask"
MOST_COUNTED = 99
URGENCY_TONES = {"urgent": "danger", "normal": ""}
QUESTION = "Has this been seen to?"
EXPLANATION = "It leaves the list of what is to do, in your name."


class WithNote(DialogForm):
    """Asks for a note, which may be left out."""

    note = forms.CharField(max_length=200, required=False, strip=True, widget=UnfoldAdminTextInputWidget())


def is_open(task: StaffTask) -> bool:
    return task.acknowledged_at is None


def take_on(request: HttpRequest, task: StaffTask, note: str = "") -> bool:
    """Acknowledges one task in the signed-in person's name and says so in the trail."""
    who = person(request)
    if not acknowledge(task, who.pk if who else None, note):
        return False
    record_act(request, task, "staff_task.acknowledge", note)
    return True


@admin.register(StaffTask)
class StaffTaskAdmin(ReadOnly, ClinicAdmin):
    list_display = (
        clock("When", "created_at"), "kind", "urgency_badge", "in_short", "from_whom",
        age("Age", "created_at"), "state",
    )  # fmt: skip
    list_select_related = ("org", "contact", "acknowledged_by")
    list_filter = (
        ("org", OfClinic),
        ("kind", OfChoices),
        ("urgency", OfChoices),
        ("acknowledged_at", EmptyFieldListFilter),
        ("created_at", WholeDays),
    )
    search_fields = ("from_number", "callback_number", "text")
    search_help_text = "A number or its last digits, or a word of the text"
    # What is open before what is seen to; of what is open the urgent first, and who waits longest.
    ordering = (F("acknowledged_at").desc(nulls_first=True), "-urgency", "created_at")
    actions = ("acknowledge_selected",)
    actions_detail = ("acknowledge",)
    readonly_fields = (
        "urgency_badge", "state", "said", "fate_of_text", "from_number_whole", "from_number_masked",
        "callback_number_whole", "callback_number_masked", "to_contact", "to_subject", "to_call",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the state of the newest text to a caller who was missed: the task's words are of when it was written."""
        about = Message.objects.filter(org_id=OuterRef("org_id"), about=OuterRef("about"))
        newest = about.order_by("-created_at").values("state")[:1]
        rows: Any = super().get_queryset(request)
        missed = Q(kind=TaskKind.MISSED_CALL) & ~Q(about="")
        told: QuerySet[Any] = rows.annotate(text_state=Case(When(missed, then=Subquery(newest))))
        return told

    def in_a_line(self, row: StaffTask) -> str:
        """Whose it is, and what."""
        return f"{self._whose(row)}: {_short(row.text)}"

    def asked_about(self, row: StaffTask) -> str:
        return f"{self._whose(row)}."

    def _whose(self, row: StaffTask) -> str:
        name = row.contact.name if row.contact else ""
        return f"{row}, {name or self.from_number_masked(row)}"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (
            "kind", "urgency_badge", "state", "note", "said", "texts",
            *(["fate_of_text"] if obj is not None and obj.text_state else []),
            whole_or_masked(request, obj, "from_number"), whole_or_masked(request, obj, "callback_number"),
            "to_contact", "to_subject", "to_call",
        )  # fmt: skip

    def get_list_display(self, request: HttpRequest) -> Any:
        acts = (RowButton("acknowledge", "Seen to", MAY_ACKNOWLEDGE, is_open),)
        return [*super().get_list_display(request), buttons(request, "messaging_stafftask", acts)]

    def fits(self, act: str, row: StaffTask) -> bool:
        return is_open(row)

    @asks_about_row(
        "Seen to",
        question=QUESTION,
        explanation=EXPLANATION,
        yes="Yes",
        permission=MAY_ACKNOWLEDGE,
        form=WithNote,
        icon="task_alt",
    )
    def acknowledge(self, request: HttpRequest, task: StaffTask, given: dict[str, Any]) -> Told:
        if take_on(request, task, given["note"]):
            return Told("It is off the list.")
        return Told("Somebody had seen to it already.", done=False)

    @asks_about_rows(
        "Selected are seen to",
        question="Have these been seen to?",
        explanation=EXPLANATION,
        yes="Yes",
        permission=MAY_ACKNOWLEDGE,
    )
    def acknowledge_selected(
        self, request: HttpRequest, tasks: Sequence[StaffTask], given: dict[str, Any]
    ) -> Told:
        done = sum(take_on(request, task) for task in tasks)
        left = len(tasks) - done
        return Told(f"{done} are off the list." + (f" {left} were already." if left else ""), done=done > 0)

    urgency_badge = badge("Urgency", "urgency", URGENCY_TONES)

    @shown("State")
    def state(self, task: StaffTask) -> SafeString:
        if is_open(task):
            return label("Open", "warning")
        by = f" by {task.acknowledged_by}" if task.acknowledged_by else ""
        return label(f"Seen to{by}, {clinic_time(task, task.acknowledged_at)}", "success")

    @shown("What")
    def in_short(self, task: Any) -> SafeString | str:
        if not task.text_state:
            return _short(task.text)
        told = '<div class="staff-cell">{}<br><span class="staff-quiet">The text now:</span> {}</div>'
        return format_html(told, _short(task.text), self.fate_of_text(task))

    @shown("The text now")
    def fate_of_text(self, task: Any) -> SafeString:
        return label(MessageState(task.text_state).label, STATE_TONES[task.text_state])

    @shown("From")
    def from_whom(self, task: StaffTask) -> SafeString | str:
        number = self.from_number_masked(task)
        name = task.contact.name if task.contact else ""
        if not name:
            return number
        told = '<div class="staff-cell"><span class="staff-name">{}</span><br><span class="staff-quiet">{}</span></div>'
        return format_html(told, name, number)

    from_number_whole = whole("From", "from_number")
    callback_number_whole = whole("Call back at", "callback_number")

    @shown("What")
    def said(self, task: StaffTask) -> SafeString | str:
        return prose(task.text)

    @shown("From")
    def from_number_masked(self, task: StaffTask) -> str:
        return "Withheld" if is_withheld(task.from_number or None) else mask(task.from_number)

    @shown("Call back at")
    def callback_number_masked(self, task: StaffTask) -> str:
        return mask(task.callback_number) if task.callback_number else NOTHING

    @shown("Contact")
    def to_contact(self, task: StaffTask) -> SafeString | str:
        return link_to(task.contact)

    @shown("About")
    def to_subject(self, task: StaffTask) -> SafeString | str:
        return link_to_subject(task.about)

    @shown("Call")
    def to_call(self, task: StaffTask) -> SafeString | str:
        return link(page_of("telephony_call", task.call_id), "The call") if task.call_id else NOTHING


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"


def open_tasks() -> Any:
    return StaffTask.objects.filter(acknowledged_at=None)


def badge_of_open(request: HttpRequest) -> str:
    """How much is to do, for the sidebar; blank where there is nothing."""
    number = open_tasks().order_by()[: MOST_COUNTED + 1].count()
    if not number:
        return ""
    return f"{MOST_COUNTED}+" if number > MOST_COUNTED else str(number)


def tasks_to_do(request: HttpRequest) -> Figure:
    number = counted(open_tasks())
    url = f"{reverse('admin:messaging_stafftask_changelist')}?acknowledged_at__isempty=1"
    urgent = counted(open_tasks().filter(urgency=StaffTask.Urgency.URGENT))
    return Figure("To do at the desk", number, f"{urgent} urgent", url, alarming=urgent != "0")


add_figure(25, tasks_to_do)
