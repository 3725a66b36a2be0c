"""Whom a command is about: one clinic, or every active one."""

from __future__ import annotations

from argparse import ArgumentParser
from uuid import UUID

from django.core.management.base import CommandError

from telephony.clinics import active_clinics
from telephony.models import PhoneNumber
from voxanne.tenancy.scope import platform_scope


def add_org_option(parser: ArgumentParser) -> None:
    parser.add_argument("--org", metavar="SLUG", help="One clinic; every active one by default.")


def clinics_asked_for(slug: str | None) -> list[tuple[UUID, str]]:
    """(id, slug) of each. Raises CommandError for a clinic that does not exist."""
    clinics = active_clinics(slug)
    if slug and not clinics:
        raise CommandError(f"There is no active clinic {slug!r}.")
    return clinics


def numbers_asked_for(slug: str | None) -> list[PhoneNumber]:
    """Their numbers, clinic by clinic. Raises CommandError for a clinic that does not exist."""
    clinics = [org_id for org_id, _ in clinics_asked_for(slug)]
    with platform_scope("a command over all numbers"):
        numbers = PhoneNumber.objects.filter(org_id__in=clinics).select_related("org")
        return list(numbers.order_by("org__name", "number"))
