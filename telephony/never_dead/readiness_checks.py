"""Was it proved lately, of every number, that the clinic's phone rings when all of us is down? For the readiness
report."""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby

from django.conf import settings
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from monitoring.findings import Finding, Verdict, worst
from monitoring.readiness import passed, warned
from telephony.models import FireDrill, PhoneNumber
from telephony.never_dead.states import DrillState
from voxanne.tenancy.scope import platform_scope

CHECK = "fire drills"
# What a provider has may be changed there by anybody at any time: a proof is good for a month.
GOOD_FOR = timedelta(days=30)


def fire_drills() -> list[Finding]:
    """One finding for each clinic with a number whose newest drill failed, is too old, or was never made.

    The drill is a FAIL where it failed; where none tells, that is a FAIL in production and a WARN elsewhere.
    """
    with platform_scope("the newest fire drill of every number"):
        numbers = list(_drilled_numbers())
    if not numbers:
        return warned(CHECK, "There is no number to drill yet.")
    findings = [
        found
        for slug, of_clinic in groupby(numbers, key=lambda number: number.org.slug)
        if (found := _of_clinic(slug, list(of_clinic)))
    ]
    days = GOOD_FOR.days
    return findings or passed(CHECK, f"All of {len(numbers)} numbers passed one within {days} days.")


def _drilled_numbers() -> list[PhoneNumber]:
    """Every active clinic's numbers, clinic by clinic, each with its newest finished drill."""
    done = FireDrill.objects.filter(number=OuterRef("pk"), state=DrillState.DONE).order_by("-finished_at")
    numbers = PhoneNumber.objects.filter(org__active=True).select_related("org")
    return list(
        numbers.annotate(
            drilled_at=Subquery(done.values("finished_at")[:1]), drill=Subquery(done.values("verdict")[:1])
        ).order_by("org__slug", "number")
    )


def _of_clinic(slug: str, numbers: list[PhoneNumber]) -> Finding | None:
    found = [(number.number, *_judged(number)) for number in numbers]
    told = "; ".join(f"{number} {detail}" for number, verdict, detail in found if verdict is not Verdict.PASS)
    if not told:
        return None
    verdict = worst(Finding(number, verdict, detail) for number, verdict, detail in found)
    advice = f"Run `manage.py fire_drill --org {slug}`, and mend what it names until it passes."
    return Finding(f"{CHECK} of {slug}", verdict, f"{told}.", advice)


def _judged(number: PhoneNumber) -> tuple[Verdict, str]:
    at, drill = number.drilled_at, number.drill  # type: ignore[attr-defined]  # annotated
    untold = Verdict.FAIL if settings.PRODUCTION else Verdict.WARN
    if at is None:
        return untold, "was never drilled"
    if drill == FireDrill.Verdict.FAIL:
        return Verdict.FAIL, f"failed its drill of {at:%-d %B}"
    if timezone.now() - at > GOOD_FOR:
        return untold, f"was last drilled {(timezone.now() - at).days} days ago"
    if drill == FireDrill.Verdict.WARN:
        return Verdict.WARN, f"passed its drill of {at:%-d %B} but for what could not be asked or seen"
    return Verdict.PASS, ""
