"""Webhooks: what providers told us, how working it off went, and a replay. What they said is not shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from telephony.call_records.reliability import reliability
from telephony.models import Call, WebhookDelivery
from telephony.webhooks.ledger import Replayed, replay_row
from telephony.webhooks.states import WebhookState
from voxanne.staff import people
from voxanne.staff.asking import Told, WithReason, asks_about_row, asks_about_rows
from voxanne.staff.clinic_admin import ClinicAdmin, ReadOnly
from voxanne.staff.columns import age, clinic_time, clock, label, link_to, shown
from voxanne.staff.filters import OfChoices, OfClinic, WholeDays
from voxanne.staff.rows import RowButton, buttons
from voxanne.staff.start import Figure, add_figure

MAY_REPLAY = "telephony.replay_webhookdelivery"
REPLAY = "It is worked off once more under the same key: what it did already is not done again."
TONES = {"pending": "info", "processing": "info", "completed": "success", "dead_letter": "danger"}
REFUSED = {
    Replayed.NOT_SETTLED: "Nothing to replay: it is still being worked off.",
    Replayed.PAYLOAD_GONE: "It cannot be replayed: what it said is not kept any more.",
    Replayed.UNKNOWN: "It is gone.",
}
GOOD_SHARE = 90.0


def is_settled(delivery: WebhookDelivery) -> bool:
    return delivery.state in (WebhookState.COMPLETED, WebhookState.DEAD_LETTER)


ROW_BUTTONS = (RowButton("replay", "Replay", MAY_REPLAY, lambda row: row.state == WebhookState.DEAD_LETTER),)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnly, ClinicAdmin):
    list_display = (
        clock("When", "created_at"),
        "provider",
        "event_type",
        "state_badge",
        "attempts",
        "replays",
        age("Age", "created_at"),
    )
    list_filter = (
        ("org", OfClinic),
        ("state", OfChoices),
        ("provider", OfChoices),
        ("created_at", WholeDays),
    )
    search_fields = ("=event_type", "=provider_call_id")
    search_help_text = "A type, or a provider's id of the call"
    ordering = ("-created_at",)
    actions = ("replay_selected",)
    actions_detail = ("replay",)
    fields = (
        "came",
        "provider",
        "event_type",
        "state_badge",
        "outcome",
        "origin",
        "attempts",
        "last_error",
        "done",
        "replays",
        "event_id",
        "provider_call_id",
        "to_call",
    )
    readonly_fields = ("came", "state_badge", "done", "to_call")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Their payloads stay in the database: a list of them would be large, and nobody reads them."""
        rows: Any = super().get_queryset(request)
        deferred: QuerySet[Any] = rows.defer("payload")
        return deferred

    def get_list_display(self, request: HttpRequest) -> Any:
        acts = buttons(request, "telephony_webhookdelivery", ROW_BUTTONS)
        return [*super().get_list_display(request), acts]

    def fits(self, act: str, row: Any) -> bool:
        return is_settled(row)

    @shown("State")
    def state_badge(self, delivery: WebhookDelivery) -> str:
        if delivery.state == WebhookState.PENDING and delivery.attempts:
            return label("Failed, tried again", "warning")
        return label(delivery.get_state_display(), TONES.get(delivery.state, ""))

    @shown("Came")
    def came(self, delivery: WebhookDelivery) -> str:
        return clinic_time(delivery, delivery.created_at)

    @shown("Done")
    def done(self, delivery: WebhookDelivery) -> str:
        return clinic_time(delivery, delivery.completed_at)

    @shown("Call")
    def to_call(self, delivery: WebhookDelivery) -> SafeString | str:
        calls = Call.objects.filter(org_id=delivery.org_id, vapi_call_id=delivery.provider_call_id)
        return link_to(calls.first() if delivery.provider_call_id else None)

    @asks_about_row(
        "Replay",
        question="Work this webhook off again?",
        explanation=REPLAY,
        yes="Yes, replay it",
        permission=MAY_REPLAY,
        form=WithReason,
        icon="replay",
    )
    def replay(self, request: HttpRequest, delivery: WebhookDelivery, given: dict[str, Any]) -> Told:
        came_to = replay_row(delivery, given["reason"], people.person(request))
        if came_to is Replayed.DONE:
            return Told("The webhook is worked off again.")
        return Told(REFUSED[came_to], done=False)

    @asks_about_rows(
        "Replay selected",
        question="Work these webhooks off again?",
        explanation=REPLAY,
        yes="Yes, replay them",
        permission=MAY_REPLAY,
        form=WithReason,
    )
    def replay_selected(
        self, request: HttpRequest, deliveries: Sequence[WebhookDelivery], given: dict[str, Any]
    ) -> Told:
        who = people.person(request)
        done = sum(replay_row(row, given["reason"], who) is Replayed.DONE for row in deliveries)
        said = f"{done} replayed."
        if done < len(deliveries):
            said += f" {len(deliveries) - done} left alone: not settled, or not kept any more."
        return Told(said, done=done > 0)


def calls_reported(request: HttpRequest) -> Figure:
    found = reliability()
    share = found.share
    return Figure(
        "Calls reported by Vapi itself",
        "–" if share is None else f"{share:g} %",
        f"{found.asked} asked for, {found.missing} missing in 24 hours",
        reverse("admin:telephony_webhookdelivery_changelist"),
        alarming=share is not None and share < GOOD_SHARE,
    )


add_figure(70, calls_reported)
