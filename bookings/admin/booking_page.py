"""Booking by staff: a form in front of the booking door. What the door refuses, the form says, with alternatives."""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from bookings.availability import DaySlots
from bookings.booking import Booked, BookingRefused, Wish, book, until_code_is_free
from bookings.models import LONGEST_VISIT, SHORTEST_VISIT
from bookings.plan import ClinicPlan, plan_of
from bookings.states import AppointmentSource
from messaging.admin.numbers import clean_number
from voxanne.staff.audit import record_act
from voxanne.staff.clinic_admin import ClinicAdmin
from voxanne.staff.clock import on_the_clinics_clock
from voxanne.tenancy.models import Organization
from voxanne.tenancy.scope import org_scope

# A refusal's code, and the field it is about; others are about the whole form.
FIELD_OF = {
    "in_the_past": "at",
    "too_soon": "at",
    "outside_hours": "at",
    "slot_unavailable": "at",
    "invalid_time": "at",
    "too_far_ahead": "day",
    "invalid_date": "day",
    "invalid_duration": "minutes",
    "unknown_provider": "provider",
    "unknown_service": "service",
    "invalid_phone": "phone",
}


class ChooseClinic(forms.Form):
    """Which clinic the visit is at, for those who book at more than one."""

    clinic = forms.ModelChoiceField(queryset=Organization.objects.none(), widget=UnfoldAdminSelectWidget())

    def __init__(self, clinics: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["clinic"].queryset = clinics  # type: ignore[attr-defined]


class BookingForm(forms.Form):
    """A visit as staff enter it; date and time are on the clinic's clock."""

    patient_name = forms.CharField(max_length=120, widget=UnfoldAdminTextInputWidget())
    phone = forms.CharField(
        max_length=30,
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "tel"}),
        help_text="A text confirms the visit.",
    )
    email = forms.EmailField(required=False, widget=UnfoldAdminEmailInputWidget())
    service = forms.ChoiceField(widget=UnfoldAdminSelectWidget())
    provider = forms.ChoiceField(required=False, widget=UnfoldAdminSelectWidget())
    day = forms.DateField(
        label="Date",
        widget=forms.DateInput(attrs={"type": "date", "class": "staff-day"}, format="%Y-%m-%d"),
        input_formats=["%Y-%m-%d", "%d/%m/%Y"],
    )
    at = forms.TimeField(
        label="Time", widget=forms.TimeInput(attrs={"type": "time", "class": "staff-day"}, format="%H:%M")
    )
    minutes = forms.IntegerField(
        label="Length in minutes",
        required=False,
        min_value=SHORTEST_VISIT,
        max_value=LONGEST_VISIT,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="Blank: the service's usual length.",
    )
    overlaps_knowingly = forms.BooleanField(
        label="Place it over another visit on purpose", required=False, widget=UnfoldBooleanSwitchWidget()
    )

    def __init__(self, plan: ClinicPlan, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.plan = plan
        self.fields["at"].help_text = f"On the clinic's clock ({plan.zone.key})."
        default = plan.service(None)
        self.fields["service"].choices = [(str(service.id), service.name) for service in plan.services]  # type: ignore[attr-defined]
        self.fields["service"].initial = str(default.id) if default else None
        anyone = [("", "Anyone who is free")]
        self.fields["provider"].choices = anyone + [(str(each.id), each.name) for each in plan.providers]  # type: ignore[attr-defined]

    def clean_phone(self) -> str | None:
        return clean_number(self.cleaned_data["phone"], self.plan.country)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors and not cleaned["phone"] and not cleaned["email"]:
            self.add_error("phone", "A phone number or an e-mail address is needed.")
        if (
            cleaned.get("overlaps_knowingly")
            and not cleaned.get("provider")
            and "provider" not in self.errors
        ):
            self.add_error("provider", "Say whose visit it is to be placed over.")
        return cleaned

    def wish(self) -> Wish:
        """The valid form as the door wants it."""
        given = self.cleaned_data
        day: date = given["day"]
        at: time = given["at"]
        return Wish(
            day=day,
            at=at,
            source=AppointmentSource.STAFF,
            patient_name=given["patient_name"],
            phone=given["phone"],
            email=given["email"],
            service=given["service"],
            provider=given["provider"] or None,
            length=timedelta(minutes=given["minutes"]) if given["minutes"] else None,
            overlaps_knowingly=given["overlaps_knowingly"],
        )

    def refuse(self, refusal: BookingRefused) -> None:
        """Shows what the door said, and the nearest free times."""
        field = FIELD_OF.get(refusal.code)
        words = [
            refusal.message,
            *([f"Free: {free_times(refusal.alternatives, self.plan.zone)}"] if refusal.alternatives else []),
        ]
        self.add_error(field, words)


def free_times(days: list[DaySlots], zone: ZoneInfo) -> str:
    """ "Tue 24 Nov 10:00, 10:30; Wed 25 Nov 09:00", on the clinic's clock."""
    return "; ".join(
        f"{each.day:%a %-d %b} {', '.join(f'{start.astimezone(zone):%H:%M}' for start in each.starts)}"
        for each in days
    )


class BookingPage(ClinicAdmin):
    """The add page of visits."""

    @on_the_clinics_clock
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        clinics = self.clinics_to_add_in(request)
        clinic = _named_clinic(request, clinics)
        if clinic is None:
            return self._page(
                request, ChooseClinic(clinics), "Book a visit: at which clinic?", "Continue", method="get"
            )
        with org_scope(clinic.pk):
            plan = plan_of(clinic.pk)
        form = BookingForm(plan, request.POST or None, initial=self._as_before(request, clinic))
        if request.method == "POST" and form.is_valid():
            booked = _through_the_door(form)
            if booked is not None:
                return self._booked(request, booked)
        return self._page(request, form, f"Book a visit at {plan.name}", "Book the visit")

    def _as_before(self, request: HttpRequest, clinic: Organization) -> dict[str, Any]:
        """What is known of the visit that is booked again (``?again=<id>``): whose it was, and for what. Raises Http404
        for one that the person may not see."""
        if not request.GET.get("again"):
            return {}
        visit = self.row(request, request.GET["again"])
        if visit.org_id != clinic.pk:
            raise Http404("That visit is another clinic's.")
        known = {
            "patient_name": visit.patient_name or visit.contact.name,
            "phone": visit.contact.phone or "",
            "email": visit.contact.email,
            "service": str(visit.service_id),
            "provider": str(visit.provider_id),
            "minutes": (visit.ends_at - visit.starts_at) // timedelta(minutes=1),
        }
        if visit.starts_at <= timezone.now():
            return known
        local = visit.starts_at.astimezone(clinic.zone)
        return {**known, "day": local.date(), "at": local.time()}

    def _booked(self, request: HttpRequest, booked: Booked) -> HttpResponse:
        visit = self.row(request, str(booked.appointment_id))
        if booked.already_booked:
            messages.info(request, "This visit was booked before; nothing was added.")
        else:
            record_act(
                request,
                visit,
                "appointment.book",
                "Placed over another visit." if visit.overlaps_knowingly else "",
            )
            told = " The patient is texted." if booked.sms_status == "queued" else " No text is sent."
            messages.success(request, f"The visit is booked.{told}")
        return HttpResponseRedirect(reverse("admin:bookings_appointment_change", args=(visit.pk,)))

    def _page(
        self, request: HttpRequest, form: forms.Form, title: str, yes: str, method: str = "post"
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "form": form,
            "yes": yes,
            "method": method,
            "opts": self.opts,
            "back": reverse("admin:bookings_appointment_changelist"),
        }
        return TemplateResponse(request, "bookings/book.html", context)


def _named_clinic(request: HttpRequest, clinics: QuerySet[Organization]) -> Organization | None:
    """The clinic the page names, or the only one; None while it has to be chosen."""
    asked = ChooseClinic(clinics, request.GET)
    if "clinic" in request.GET and asked.is_valid():
        named: Organization = asked.cleaned_data["clinic"]
        return named
    few = list(clinics[:2])
    return few[0] if len(few) == 1 else None


def _through_the_door(form: BookingForm) -> Booked | None:
    """Books; None when the door refused, which the form then says. A refusal leaves nothing behind."""
    try:
        return until_code_is_free(lambda: _booked(form))
    except BookingRefused as refusal:
        form.refuse(refusal)
        return None


def _booked(form: BookingForm) -> Booked:
    with org_scope(form.plan.key.org_id):
        return book(form.plan, form.wish())
