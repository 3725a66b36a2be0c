"""Somebody with a visit ahead takes no more texts: the desk is told, since nothing else reaches that person now."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from bookings.confirmation import about
from bookings.models import Appointment
from bookings.states import LIVE_STATES
from messaging.manners.opted_out import OptedOut
from messaging.staff_tasks import tell_staff
from messaging.states import TaskKind

# Opt-outs to the carrier, by which people also mean their visit.
MAY_MEAN_THE_VISIT = frozenset({"CANCEL", "END", "QUIT", "REVOKE"})
MOST_NAMED = 3


def tell_of_visits(wish: OptedOut) -> None:
    """Writes the task, where there is a visit to tell of. In the clinic's scope, in the opt-out's transaction."""
    visits = _ahead(wish, timezone.now())
    if not visits:
        return
    first = visits[0]
    meant = wish.word in MAY_MEAN_THE_VISIT
    tell_staff(
        wish.org_id,
        kind=TaskKind.OPTED_OUT_WITH_VISIT,
        text=_words(wish, visits, meant=meant),
        # One task a visit, but a word that may cancel it is told of each time.
        dedupe_key=f"opted-out:{wish.key}" if meant else f"no-texts:{first.pk}",
        urgent=meant,
        from_number=wish.number,
        callback_number=wish.number,
        contact_id=first.contact_id,
        about=about(first.pk),
    )


def _ahead(wish: OptedOut, now: datetime) -> list[Appointment]:
    visits = Appointment.objects.filter(
        org_id=wish.org_id, contact__phone=wish.number, status__in=LIVE_STATES, ends_at__gt=now
    )
    return list(visits.select_related("org", "provider", "contact").order_by("starts_at", "pk"))


def _words(wish: OptedOut, visits: list[Appointment], *, meant: bool) -> str:
    named = "; ".join(_named(visit) for visit in visits[:MOST_NAMED])
    if len(visits) > MOST_NAMED:
        named += f"; and {len(visits) - MOST_NAMED} more"
    stands = "This visit still stands" if len(visits) == 1 else "These visits still stand"
    if meant:
        return (
            f"They texted {wish.word}: that ends all texts from you, but they may have meant their visit. {stands}:"
            f" {named}."
            " We cannot text them any more: call, ask whether they are coming, and cancel the visit if not."
        )
    how = f"They texted {wish.word}" if wish.word else "Their carrier takes no texts from you for them"
    return f"{how}: we cannot text them any more. {stands}: {named}. Call if something changes, or to remind them."


def _named(visit: Appointment) -> str:
    local = visit.starts_at.astimezone(visit.org.zone)
    whose = visit.patient_name or visit.contact.name or "a patient without a name"
    return f"{whose}, {local:%a %-d %b %Y at %H:%M} with {visit.provider.name}"
