"""Recordings: heard on their call's page, deleted when a patient asks for it; and whether a clinic keeps any."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from messaging.phone_numbers import mask
from telephony.models import Call, CallSettings, Recording
from telephony.recordings.keeping import RECORDING_QUEUE, RECORDING_WORK, delete_recording
from telephony.recordings.links import LISTEN, link_to
from telephony.recordings.states import RecordingState
from voxanne.durable.hints import hint_on_commit
from voxanne.durable.work import redrive
from voxanne.staff import audit, people
from voxanne.staff.asking import Told, WithReason, asks_about_row
from voxanne.staff.clinic_admin import ClinicAdmin, ReadOnly
from voxanne.staff.columns import NOTHING, badge, clinic_time, clock, link, page_of, shown
from voxanne.staff.filters import OfChoices, OfClinic, WholeDays

TONES = {"queued": "info", "fetching": "info", "stored": "success", "dead": "danger", "deleted": ""}
DELETE = "telephony.delete_recording"
REDRIVE = "telephony.redrive_recording"
# A player asks for one recording in many parts: that is one hearing.
ONE_HEARING = timedelta(minutes=10)


def player(call: Call) -> SafeString | str:
    """The call's recording, or a word about it; for the page of one who may hear it."""
    recording = Recording.objects.filter(org_id=call.org_id, call=call).first()
    if recording is None:
        return NOTHING
    if recording.state != RecordingState.STORED:
        return recording.get_state_display()
    return sound(recording)


def sound(recording: Recording) -> SafeString:
    """Asks for a link only when it is played, so that a page may stay open for long."""
    return format_html(
        '<audio controls preload="none" src="{}"></audio>',
        reverse("admin:telephony_recording_listen", args=[recording.pk]),
    )


@admin.register(Recording)
class RecordingAdmin(ReadOnly, ClinicAdmin):
    list_display = (clock("When", "created_at"), "to_call", "state_badge", "megabytes")
    list_select_related = ("org", "call")
    list_filter = (("org", OfClinic), ("state", OfChoices), ("created_at", WholeDays))
    ordering = ("-created_at",)
    fields = ("to_call", "state_badge", "heard", "megabytes", "kept_since", "attempts", "last_error")
    readonly_fields = ("to_call", "state_badge", "heard", "megabytes", "kept_since")
    actions_detail = ("delete_this", "redrive_this")

    state_badge = badge("State", "state", TONES)

    @shown("Call")
    def to_call(self, recording: Recording) -> SafeString | str:
        return link(page_of("telephony_call", recording.call_id), "Its call")

    @shown("Listen")
    def heard(self, recording: Recording) -> SafeString | str:
        return sound(recording) if recording.state == RecordingState.STORED else NOTHING

    @shown("Size")
    def megabytes(self, recording: Recording) -> str:
        return f"{recording.size / 1e6:.1f} MB" if recording.size else NOTHING

    @shown("Kept since")
    def kept_since(self, recording: Recording) -> str:
        return clinic_time(recording, recording.stored_at)

    def asked_about(self, row: Recording) -> str:
        return f"Of the call from {mask(row.call.from_number)}, {clinic_time(row, row.call.created_at)}."

    def fits(self, act: str, row: Recording) -> bool:
        return row.state == RecordingState.DEAD if act == "redrive_this" else row.state in ("stored", "dead")

    @asks_about_row(
        "Delete",
        question="Delete this recording?",
        explanation="It is gone for good. The call, its summary and its transcript stay.",
        yes="Delete it",
        permission=DELETE,
        form=WithReason,
        grave=True,
    )
    def delete_this(self, request: HttpRequest, row: Recording, given: dict[str, Any]) -> Told:
        if not delete_recording(row.org_id, row.pk, "Deleted by staff."):
            return Told("Nothing was deleted: it is gone already, or is being fetched just now.", done=False)
        audit.record_act(request, row, "recording.delete", given["reason"])
        return Told("The recording is deleted.")

    @asks_about_row(
        "Try again",
        question="Fetch this recording again?",
        explanation="It was given up; see the last error.",
        yes="Try again",
        permission=REDRIVE,
        form=WithReason,
    )
    def redrive_this(self, request: HttpRequest, row: Recording, given: dict[str, Any]) -> Told:
        if not redrive(Recording, row.org_id, row.pk):
            return Told("Nothing was done: it is under way already.", done=False)
        hint_on_commit(RECORDING_WORK, RECORDING_QUEUE, row.org_id, row.pk)
        audit.record_act(request, row, "recording.redrive", given["reason"])
        return Told("It is being fetched again.")

    # --- Listening ---------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        listen = path(
            "<uuid:recording_id>/listen/",
            self.admin_site.admin_view(self.listen),
            name="telephony_recording_listen",
        )
        return [listen, *super().get_urls()]

    def listen(self, request: HttpRequest, recording_id: Any) -> HttpResponse:
        """Sends a player on to a short-lived link; who heard what stands in the audit trail. Where nothing is kept,
        the recording's own page says why."""
        recording = self.row(request, str(recording_id))
        person = people.person(request)
        if person is None or not people.holds(request, LISTEN, recording):
            raise PermissionDenied
        if recording.state != RecordingState.STORED:
            return HttpResponseRedirect(page_of("telephony_recording", recording.pk))
        lately = audit.acts_on(recording).filter(
            action="recording.listen", actor=person, created_at__gt=timezone.now() - ONE_HEARING
        )
        if not lately.exists():
            audit.record_act(request, recording, "recording.listen")
        return HttpResponseRedirect(link_to(recording, person), headers={"Cache-Control": "no-store"})


@admin.register(CallSettings)
class CallSettingsAdmin(ClinicAdmin):
    list_display = ("__str__", "recording_days")
    list_filter = (("org", OfClinic),)
    ordering = ("org__name",)
    fields = ("record_calls", "recording_days")
