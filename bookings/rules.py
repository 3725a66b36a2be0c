"""The clinic's rules for a visit: what somebody asked for, whether it may be booked, and how it is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID

from bookings.availability import DaySlots, Question, alternatives
from bookings.plan import ClinicPlan, ProviderPlan, ServicePlan
from bookings.slots import local_start, on_grid, within_hours
from bookings.states import AppointmentSource
from monitoring.errors import DomainError

REFUSALS = {
    "slot_unavailable": "That time has just been taken.",
    "outside_hours": "We are not open for that visit at that time.",
    "in_the_past": "That time has already passed.",
    "too_far_ahead": "That is further ahead than we can book.",
    "too_soon": "That is too soon for us to prepare.",
    "invalid_date": "I did not catch a date that exists. Which day would you like?",
    "invalid_time": "I did not catch a time we can book. Which time would you like?",
    "invalid_phone": "I did not catch a phone number that is complete. Could you repeat it?",
    "invalid_duration": "That visit cannot be booked for that length of time.",
    "unknown_service": "We do not offer that service.",
    "unknown_provider": "I do not know a provider of that name here.",
    "unknown_visit": "I could not find that visit. May I have its confirmation code?",
}


class BookingRefused(DomainError):
    """A refusal by a rule: its ``code`` is a key of ``REFUSALS``; ``alternatives`` are the nearest free times."""

    def __init__(self, code: str, offered: Sequence[DaySlots] = ()) -> None:
        super().__init__(REFUSALS[code], code=code)
        self.alternatives = list(offered)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asked to book: local date and time, and who it is for.

    ``overlaps_knowingly`` is for staff who place a visit over another on purpose; callers never set it.
    ``phone`` is E.164; without one an e-mail address is needed, and no text is sent. ``provider`` and
    ``service`` are an id, slug or name; without them anybody, and the clinic's default service.
    """

    day: date
    at: time
    source: AppointmentSource
    patient_name: str = ""
    phone: str | None = None
    email: str = ""
    service: str | None = None
    provider: str | None = None
    length: timedelta | None = None
    call_id: UUID | None = None
    overlaps_knowingly: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """A wish that passed every rule but the race for the time."""

    question: Question
    starts_at: datetime

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + self.question.length

    @property
    def blocked_from(self) -> datetime:
        return self.starts_at - self.question.service.before

    @property
    def blocked_until(self) -> datetime:
        return self.ends_at + self.question.service.after


def plan_visit(plan: ClinicPlan, wish: Wish, now: datetime) -> Visit:
    """Checks the wish against the clinic's rules. Raises BookingRefused."""
    service = plan.service(wish.service)
    if service is None:
        raise BookingRefused("unknown_service")
    length = wish.length or service.length
    if not service.allows(length):
        raise BookingRefused("invalid_duration")
    question = Question(plan, service, _named_provider(plan, wish, service), length, now)
    visit = Visit(question, start_of(plan, wish.day, wish.at))
    check_moment(visit, wish.day)
    return visit


def start_of(plan: ClinicPlan, day: date, at: time) -> datetime:
    """The instant at which the clinic's clock reads so. Raises BookingRefused (invalid_time): the clocks leap
    over it, or it is no five-minute mark."""
    starts_at = local_start(day, at, plan.zone)
    if starts_at is None or not on_grid(starts_at, plan.zone):
        raise BookingRefused("invalid_time")
    return starts_at


def _named_provider(plan: ClinicPlan, wish: Wish, service: ServicePlan) -> ProviderPlan | None:
    if not wish.provider:
        return None
    provider = plan.provider(wish.provider)
    if provider is None or service.id not in provider.service_ids:
        raise BookingRefused("unknown_provider")
    return provider


def check_moment(visit: Visit, day: date) -> None:
    """Refuses what lies in the past, too near, too far ahead or outside hours. Raises BookingRefused."""
    question = visit.question
    if visit.starts_at < question.now:
        raise BookingRefused("in_the_past")
    if day > question.last_day:
        raise BookingRefused("too_far_ahead")
    if visit.starts_at < question.earliest:
        raise BookingRefused("too_soon", alternatives(question, day))
    if not any(True for _ in open_candidates(visit)):
        raise BookingRefused("outside_hours", alternatives(question, day))


def open_candidates(visit: Visit) -> Iterable[ProviderPlan]:
    """Those of the asked-for providers whose hours the visit fits; closures are closed hours."""
    question = visit.question
    day = visit.starts_at.astimezone(question.plan.zone).date()
    for provider in question.candidates:
        if within_hours(visit.starts_at, question.plan.open_hours(provider, day), length=question.length):
            yield provider
