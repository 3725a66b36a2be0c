"""The clinic's day: who works when, what can be booked, and what has been."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeBoundary, RangeOperators
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Func, Q
from django.utils import timezone

from bookings.states import LIVE_STATES, PUSH_LIFECYCLE, AppointmentSource, AppointmentStatus, PushState
from messaging.models import Contact
from voxanne.durable.models import DurableWork
from voxanne.encryption import EncryptedTextField
from voxanne.indexes import NamedIndex
from voxanne.tenancy.owned import Owned

SHORTEST_VISIT = 5
LONGEST_VISIT = 240


class Service(Owned):
    """What can be booked: how long it takes, and when it may be booked."""

    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=60)
    minutes = models.PositiveSmallIntegerField(
        default=30, validators=[MinValueValidator(SHORTEST_VISIT), MaxValueValidator(LONGEST_VISIT)]
    )
    shortest_minutes = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Blank: the usual length only."
    )
    longest_minutes = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Blank: the usual length only."
    )
    buffer_before = models.PositiveSmallIntegerField(
        default=0, help_text="Minutes kept free before the visit."
    )
    buffer_after = models.PositiveSmallIntegerField(default=0, help_text="Minutes kept free after the visit.")
    minimum_notice = models.PositiveIntegerField(default=0, help_text="Minutes between booking and visit.")
    horizon_days = models.PositiveSmallIntegerField(
        default=365, help_text="How many days ahead it may be booked."
    )
    is_default = models.BooleanField(default=False)
    active = models.BooleanField(default=True)

    class Meta:
        db_table = "services"
        ordering = ("name",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "slug"], name="one_service_a_slug"),
            models.UniqueConstraint(fields=["org"], condition=Q(is_default=True), name="one_default_service"),
        ]

    def __str__(self) -> str:
        return self.name


class Provider(Owned):
    """A person who sees patients."""

    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=60)
    active = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField(
        default=0, help_text="Order in which free providers are offered."
    )
    services: models.ManyToManyField[Service, ProviderService] = models.ManyToManyField(
        Service, through="ProviderService", related_name="providers"
    )

    class Meta:
        db_table = "providers"
        ordering = ("position", "name")
        constraints: ClassVar = [models.UniqueConstraint(fields=["org", "slug"], name="one_provider_a_slug")]

    def __str__(self) -> str:
        return self.name


class ProviderService(Owned):
    """A provider who does a service."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="offers")
    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="offered_by")

    class Meta:
        db_table = "provider_services"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["org", "provider", "service"], name="one_offer_a_provider")
        ]

    def __str__(self) -> str:
        return f"{self.provider}: {self.service}"


class Weekday(models.IntegerChoices):
    MONDAY = 0, "Monday"
    TUESDAY = 1, "Tuesday"
    WEDNESDAY = 2, "Wednesday"
    THURSDAY = 3, "Thursday"
    FRIDAY = 4, "Friday"
    SATURDAY = 5, "Saturday"
    SUNDAY = 6, "Sunday"


class WorkingHours(Owned):
    """A weekly window in the clinic's local time. A break is the gap between two windows of a day."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="hours")
    weekday = models.PositiveSmallIntegerField(choices=Weekday.choices)
    opens = models.TimeField()
    closes = models.TimeField(help_text="00:00 means midnight at the end of the day.")

    class Meta:
        db_table = "working_hours"
        ordering = ("provider", "weekday", "opens")
        verbose_name_plural = "working hours"
        indexes: ClassVar = [models.Index(fields=["org", "provider"], name="idx_working_hours_provider")]

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.opens:%H:%M}–{self.closes:%H:%M}"


class Closure(Owned):
    """A stretch in which the clinic, or one provider, takes no visits."""

    provider = models.ForeignKey(
        Provider, null=True, blank=True, on_delete=models.CASCADE, help_text="Blank: the whole clinic."
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=120, blank=True, default="")

    class Meta:
        db_table = "closures"
        ordering = ("starts_at",)
        indexes: ClassVar = [models.Index(fields=["org", "ends_at"], name="idx_closures_org")]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")), name="closure_ends_after_it_starts"
            )
        ]

    def __str__(self) -> str:
        return self.reason or "Closed"


class BlockedRange(Func):
    """The stretch of a provider's time that a visit takes, buffers included: ``[from, until)``."""

    function = "tstzrange"
    output_field = DateTimeRangeField()


class Appointment(Owned):
    """A visit. Two live ones never overlap for one provider unless staff said so knowingly: the
    database decides (``no_overlap``), not a check before it."""

    provider = models.ForeignKey(
        Provider, on_delete=models.PROTECT, related_name="appointments", db_index=False
    )
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="appointments")
    contact = models.ForeignKey(Contact, on_delete=models.PROTECT, related_name="appointments")
    patient_name = models.CharField(max_length=120, blank=True, default="")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    blocked_from = models.DateTimeField(editable=False)
    blocked_until = models.DateTimeField(editable=False)
    status = models.CharField(
        max_length=12, choices=AppointmentStatus.choices, default=AppointmentStatus.CONFIRMED
    )
    source = models.CharField(max_length=12, choices=AppointmentSource.choices)
    overlaps_knowingly = models.BooleanField(
        default=False, help_text="Staff placed it over another visit on purpose."
    )
    confirmation_code = models.CharField(max_length=6)
    token_version = models.PositiveSmallIntegerField(default=1, editable=False)
    call_id = models.UUIDField(null=True, blank=True, editable=False)
    rescheduled_from = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="rescheduled_to", editable=False
    )
    cancel_reason = models.CharField(max_length=200, blank=True, default="")
    notes = models.TextField(blank=True, default="")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "appointments"
        ordering = ("starts_at",)
        constraints: ClassVar = [
            ExclusionConstraint(
                name="no_overlap",
                expressions=[
                    ("provider", RangeOperators.EQUAL),
                    (BlockedRange("blocked_from", "blocked_until", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
                condition=Q(status__in=LIVE_STATES) & Q(overlaps_knowingly=False),
            ),
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")), name="visit_ends_after_it_starts"
            ),
            models.CheckConstraint(
                condition=Q(blocked_from__lte=F("starts_at")) & Q(blocked_until__gte=F("ends_at")),
                name="visit_lies_in_its_block",
            ),
            # A code that is read out on the telephone points at one visit; the index also finds it.
            models.UniqueConstraint(
                fields=["org", "confirmation_code"],
                condition=Q(status__in=LIVE_STATES),
                name="one_live_code_a_clinic",
            ),
        ]
        indexes: ClassVar = [
            NamedIndex(fields=["org", "contact", "starts_at"], name="idx_appointments_org_contact_date"),
            models.Index(fields=["org", "status", "starts_at"], name="idx_appointments_org_status"),
            models.Index(fields=["org", "starts_at"], name="idx_appointments_scheduled_at"),
            models.Index(fields=["provider", "starts_at"], name="idx_appointments_provider"),
            # Looked at before each booking, and next to empty.
            models.Index(
                fields=["provider", "starts_at"],
                name="idx_appointments_overlaps",
                condition=Q(overlaps_knowingly=True, status__in=LIVE_STATES),
            ),
            models.Index(
                fields=["call_id"], name="idx_appointments_call", condition=Q(call_id__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{timezone.localtime(self.starts_at, self.org.zone):%a %d %b %Y %H:%M}"


class CalendarConnection(Owned):
    """A provider's Google calendar and the credentials that open it."""

    class State(models.TextChoices):
        CONNECTED = "connected", "Connected"
        NEEDS_REAUTH = "needs_reauth", "Needs to be connected again"

    provider = models.OneToOneField(Provider, on_delete=models.CASCADE, related_name="calendar")
    calendar_id = models.CharField(max_length=200, default="primary")
    refresh_token = EncryptedTextField(blank=True, default="")
    access_token = EncryptedTextField(blank=True, default="")
    access_token_expires_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=20, choices=State.choices, default=State.CONNECTED)
    state_since = models.DateTimeField(default=timezone.now)
    last_error = models.TextField(blank=True, default="")

    class Meta:
        db_table = "calendar_connections"
        indexes: ClassVar = [models.Index(fields=["org"], name="idx_calendar_connections_org")]

    def __str__(self) -> str:
        return f"{self.provider}: {self.get_state_display()}"


class BusyBlock(Owned):
    """A stretch that a provider's own calendar says is taken."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="busy_blocks")
    external_id = models.CharField(max_length=1024)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    class Meta:
        db_table = "busy_blocks"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["org", "provider", "external_id", "starts_at"], name="one_block_an_event"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["org", "provider", "ends_at", "starts_at"], name="idx_busy_blocks_provider")
        ]

    def __str__(self) -> str:
        return "busy"


class CalendarPush(DurableWork):
    """An appointment's event on its provider's calendar: durable work, one row an appointment."""

    lifecycle = PUSH_LIFECYCLE

    appointment = models.OneToOneField(Appointment, on_delete=models.CASCADE, related_name="calendar_push")
    state = models.CharField(max_length=20, choices=PushState.choices, default=PushState.QUEUED)
    event_id = models.CharField(max_length=64, blank=True, default="")
    calendar_id = models.CharField(max_length=200, blank=True, default="")
    pushed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "calendar_pushes"
        verbose_name_plural = "calendar pushes"
        indexes: ClassVar = [
            models.Index(
                fields=["state", "next_attempt_at"],
                name="idx_calendar_pushes_due",
                condition=Q(state__in=["queued", "pushing"]),
            ),
            models.Index(fields=["org", "-created_at"], name="idx_calendar_pushes_org"),
        ]

    def __str__(self) -> str:
        return self.get_state_display()
