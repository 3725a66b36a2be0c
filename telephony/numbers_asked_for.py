"""Which numbers a command is about: those of one clinic, or everybody's."""

from __future__ import annotations

from argparse import ArgumentParser
from uuid import UUID

from django.core.management.base import CommandError

from telephony.models import PhoneNumber
from voxanne.tenancy.models import Organization
from voxanne.tenancy.scope import platform_scope


def add_org_option(parser: ArgumentParser) -> None:
    parser.add_argument("--org", metavar="SLUG", help="only this clinic's numbers")


def numbers_of(slug: str | None) -> list[PhoneNumber]:
    """The numbers of active clinics, clinic by clinic. Raises CommandError for a clinic that does not exist."""
    with platform_scope("a command over all numbers"):
        clinics = Organization.objects.filter(active=True, **({"slug": slug} if slug else {}))
        known: list[UUID] = list(clinics.values_list("pk", flat=True))
        if slug and not known:
            raise CommandError(f"There is no active clinic {slug!r}.")
        numbers = PhoneNumber.objects.filter(org_id__in=known).select_related("org")
        return list(numbers.order_by("org__name", "number"))
