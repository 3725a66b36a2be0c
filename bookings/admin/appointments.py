"""Visits: listed, read, annotated, booked and cancelled. Times are changed through the booking door alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from bookings.admin.booking_page import BookingPage
from bookings.admin.calendars import PUSH_TONES
from bookings.booking import cancel
from bookings.confirmation import about
from bookings.models import Appointment, CalendarPush
from bookings.patient_token import revoke_links
from bookings.plan import plan_of
from bookings.states import LIVE_STATES, PushState
from messaging.admin.messages import STATE_TONES as TEXT_TONES
from messaging.admin.numbers import to_ring
from messaging.admin.reasons import reason
from messaging.manners.consent import has_opted_out, sender_of
from messaging.models import Message
from messaging.phone_numbers import mask
from messaging.states import MessageKind, MessageState
from voxanne.staff import people
from voxanne.staff.asking import Told, WithReason, WithReasonAndText, asks_about_row, no_text
from voxanne.staff.audit import record_act
from voxanne.staff.bases import DropdownFilter
from voxanne.staff.clock import today
from voxanne.staff.columns import badge, clinic_time, clock, label, link, link_to, page_of, shown
from voxanne.staff.filters import OfChoices, OfClinic, Scoped, WholeDays
from voxanne.staff.rows import RowButton, buttons
from voxanne.tenancy.scope import org_scope

STATUS_TONES = {
    "held": "warning",
    "confirmed": "success",
    "completed": "primary",
    "cancelled": "",
    "no_show": "danger",
}
MAY_CANCEL = "bookings.change_appointment"
# These say how the list is shown, not which visits are meant.
PLAIN_PARAMETERS = frozenset({"when", "o", "p", "e", "all", "_facets", "_popup", "_to_field"})


def is_live(appointment: Appointment) -> bool:
    return appointment.status in LIVE_STATES


class When(DropdownFilter):
    """Upcoming visits, unless the list is asked for something else; the tabs above the list set it."""

    title = "when"
    parameter_name = "when"
    all_option = ("", "Upcoming")

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return (("today", "Today"), ("past", "Past"), ("all", "All"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        match asked_when(request):
            case "today":
                return queryset.filter(today(request, "starts_at"))
            case "past":
                return queryset.filter(starts_at__lt=now)
            case "upcoming":
                return queryset.filter(starts_at__gte=now - timedelta(days=1), ends_at__gte=now)
        return queryset


def asked_when(request: HttpRequest) -> str:
    """What the list is to begin with. A search, or any other filter, looks through all visits."""
    asked = request.GET.get("when", "")
    if asked in ("today", "past", "all"):
        return asked
    otherwise = any(value for name, value in request.GET.items() if name not in PLAIN_PARAMETERS)
    return "all" if otherwise else "upcoming"


def what_cancelling_does(request: HttpRequest, visit: Appointment) -> str:
    """Whose visit it is and when, and what becomes of it; who cannot be texted is not offered a text."""
    phone = visit.contact.phone
    if not phone:
        text = "No text is sent: there is no phone number."
    elif visit.starts_at <= timezone.now():
        text = "No text is sent: the visit has begun."
    elif _takes_no_texts(visit, phone):
        text = "No text is sent: the patient opted out of texts."
    else:
        text = f"A text to {mask(phone)} says so, unless you switch that off."
    if not text.startswith("A text"):
        no_text(request)
    whose = visit.patient_name or visit.contact.name or "A patient without a name"
    when = clinic_time(visit, visit.starts_at, zone=True)
    return (
        f"{whose}, {when}: {visit.service.name} with {visit.provider.name}. The time is free for others at once, and"
        f" texts about the visit that still wait are withdrawn. {text}"
    )


def _takes_no_texts(visit: Appointment, phone: str) -> bool:
    sender = sender_of(visit.org_id)
    return sender is None or has_opted_out(visit.org_id, sender=sender, recipient=phone)


def _text_that_tells(visit: Appointment) -> str:
    """Whether the patient hears of it. In the words of what was written, not of what was asked for."""
    texts = Message.objects.filter(org_id=visit.org_id, about=about(visit.pk), kind=MessageKind.CANCELLED)
    text = texts.first()
    return "The patient is texted." if text and text.state == MessageState.QUEUED else "No text is sent."


@admin.register(Appointment)
class AppointmentAdmin(BookingPage):
    list_display = (clock("When", "starts_at"), "patient", "service", "provider", "status_badge", "source")
    list_select_related = ("org", "provider", "service", "contact")
    list_filter = (
        When,
        ("org", OfClinic),
        ("starts_at", WholeDays),
        ("provider", Scoped),
        ("service", Scoped),
        ("status", OfChoices),
        ("source", OfChoices),
    )
    search_fields = ("patient_name", "contact__name", "contact__phone", "=confirmation_code")
    masked_fields = ("contact__phone",)
    search_help_text = "Patient's name, phone number or its last digits, or confirmation code"
    actions_detail = ("cancel", "withdraw_links")
    readonly_fields = (
        "status_badge",
        "starts",
        "ends",
        "to_provider",
        "to_service",
        "to_contact",
        "contact_phone",
        "contact_phone_masked",
        "source",
        "confirmation_code",
        "overlaps_knowingly",
        "cancel_reason",
        "to_call",
        "booked",
        "book_again",
    )
    change_form_after_template = "bookings/visit_panels.html"

    def sections(self, request: HttpRequest, obj: Any = None) -> Any:
        keeps_contacts = people.holds(request, "messaging.change_contact", obj)
        may_book = people.holds(request, self.permission("add"), obj)
        again = ["book_again"] if may_book else []
        cancelled = ["cancel_reason", *again] if obj is not None and obj.status == "cancelled" else []
        # A cross beside "on purpose" on every ordinary visit reads as an alarm.
        overlap = ["overlaps_knowingly"] if obj is not None and obj.overlaps_knowingly else []
        return [
            (
                "Visit",
                {"fields": ["status_badge", "starts", "ends", "to_provider", "to_service", *cancelled]},
            ),
            (
                "Patient",
                {
                    "fields": [
                        "patient_name",
                        "to_contact",
                        "contact_phone" if keeps_contacts else "contact_phone_masked",
                        "notes",
                    ]
                },
            ),
            (
                "Booking",
                {"fields": ["source", "booked", "confirmation_code", *overlap, "to_call"]},
            ),
        ]

    def get_ordering(self, request: HttpRequest) -> Any:
        return ("starts_at",) if asked_when(request) in ("upcoming", "today") else ("-starts_at",)

    def get_list_display(self, request: HttpRequest) -> Any:
        return [*super().get_list_display(request), buttons(request, "bookings_appointment", ROW_BUTTONS)]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A visit is cancelled, never deleted."""
        return False

    def fits(self, act: str, row: Appointment) -> bool:
        """Only a visit that still stands can be cancelled."""
        return act != "cancel" or is_live(row)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        visit = self.get_object(request, object_id)
        panels = visit_panels(visit) if visit is not None else []
        context = {**(extra_context or {}), "panels": panels, "show_save_and_add_another": False}
        return super().change_view(request, object_id, form_url, context)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name == "notes":
            field.widget.attrs["rows"] = 4
        return field

    @asks_about_row(
        "Cancel visit",
        question="Cancel this visit?",
        explanation=what_cancelling_does,
        yes="Yes, cancel it",
        permission=MAY_CANCEL,
        form=WithReasonAndText,
        icon="event_busy",
        grave=True,
    )
    def cancel(self, request: HttpRequest, visit: Appointment, given: dict[str, Any]) -> Told:
        with org_scope(visit.org_id):
            done = cancel(
                plan_of(visit.org_id),
                visit,
                reason=given["reason"],
                tell_patient=given.get("tell_patient", False),
            )
        if not done:
            return Told(f"Nothing to cancel: the visit is {visit.get_status_display().lower()}.", done=False)
        record_act(request, visit, "appointment.cancel", given["reason"])
        return Told(f"The visit is cancelled. {_text_that_tells(visit)}")

    @asks_about_row(
        "Withdraw link",
        question="Withdraw the patient's link?",
        explanation="Every link to this visit that was ever sent stops working.",
        yes="Yes, withdraw it",
        permission=MAY_CANCEL,
        form=WithReason,
        icon="link_off",
    )
    def withdraw_links(self, request: HttpRequest, visit: Appointment, given: dict[str, Any]) -> Told:
        with org_scope(visit.org_id):
            revoke_links(visit)
        record_act(request, visit, "appointment.withdraw_links", given["reason"])
        return Told("The links to this visit open nothing any more.")

    @shown("Patient", ordering="patient_name")
    def patient(self, visit: Appointment) -> str:
        return visit.patient_name or visit.contact.name or "(no name)"

    status_badge = badge("Status", "status", STATUS_TONES)

    @shown("Starts")
    def starts(self, visit: Appointment) -> str:
        return clinic_time(visit, visit.starts_at)

    @shown("Ends")
    def ends(self, visit: Appointment) -> str:
        return clinic_time(visit, visit.ends_at)

    @shown("Provider")
    def to_provider(self, visit: Appointment) -> SafeString | str:
        return link_to(visit.provider)

    @shown("Service")
    def to_service(self, visit: Appointment) -> SafeString | str:
        return link_to(visit.service)

    @shown("Contact")
    def to_contact(self, visit: Appointment) -> SafeString | str:
        return link_to(visit.contact)

    @shown("Phone")
    def contact_phone(self, visit: Appointment) -> SafeString | str:
        return to_ring(visit.contact.phone)

    @shown("Phone")
    def contact_phone_masked(self, visit: Appointment) -> str:
        return mask(visit.contact.phone) if visit.contact.phone else "–"

    @shown("Call")
    def to_call(self, visit: Appointment) -> SafeString | str:
        return (
            link(page_of("telephony_call", visit.call_id), "The call that booked it")
            if visit.call_id
            else "–"
        )

    @shown("Another time")
    def book_again(self, visit: Appointment) -> SafeString:
        """Leads to the booking page filled in. The address names the visit alone, and nothing of the patient."""
        page = reverse("admin:bookings_appointment_add")
        return format_html(
            '<a class="staff-button" href="{}?clinic={}&amp;again={}">Book again</a>',
            page,
            visit.org_id,
            visit.pk,
        )

    @shown("Booked")
    def booked(self, visit: Appointment) -> str:
        return clinic_time(visit, visit.created_at)


ROW_BUTTONS = (RowButton("cancel", "Cancel", MAY_CANCEL, is_live),)


def visit_panels(visit: Appointment) -> list[dict[str, Any]]:
    """What belongs to the visit on its page: the texts about it, and its event on the provider's calendar."""
    texts = (
        Message.objects.filter(org_id=visit.org_id, about=about(visit.pk))
        .select_related("org")
        .order_by("created_at")
    )
    pushes = CalendarPush.objects.filter(appointment=visit).select_related("org", "appointment")
    return [
        {
            "title": "Texts about this visit",
            "columns": ("Text", "State", "Written", "What happened"),
            "rows": [_text_row(text) for text in texts[:50]],
            "empty": "No text was written about it.",
        },
        {
            "title": "On the calendar",
            "columns": ("Event", "State", "Since", "What happened"),
            "rows": [_push_row(push) for push in pushes],
            "empty": "Nothing was written to a calendar.",
        },
    ]


def _text_row(text: Message) -> tuple[Any, ...]:
    return (
        link(page_of("messaging_message", text.pk), text.get_kind_display()),
        label(text.get_state_display(), TEXT_TONES[text.state]),
        clinic_time(text, text.created_at),
        reason(text),
    )


def _push_words(push: CalendarPush) -> str:
    """A push that is done made the calendar agree with the visit: of a cancelled one the event is gone."""
    if push.state == PushState.DONE and push.appointment.status not in LIVE_STATES:
        return "Taken off the calendar"
    return push.get_state_display()


def _push_row(push: CalendarPush) -> tuple[Any, ...]:
    return (
        link(page_of("bookings_calendarpush", push.pk), "Calendar event"),
        label(_push_words(push), PUSH_TONES[push.state]),
        clinic_time(push, push.pushed_at),
        push.last_error or "–",
    )
