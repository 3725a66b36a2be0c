"""Who is signed in on a staff page: their clinics, and what they may do in each."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Model
from django.http import HttpRequest

from voxanne.tenancy.access import roles_of
from voxanne.tenancy.models import Organization, Role, User
from voxanne.tenancy.permissions import may

MOST_CLINICS_NAMED = 200


def person(request: HttpRequest) -> User | None:
    """The signed-in person; None before sign-in."""
    user = request.user
    return user if isinstance(user, User) and user.is_active else None


def is_operator(request: HttpRequest) -> bool:
    """Whether a platform operator is signed in, who sees every clinic."""
    user = person(request)
    return user is not None and user.is_superuser


def roles(request: HttpRequest) -> dict[UUID, Role]:
    """The person's role at each of their clinics; empty for a platform operator, who needs none."""
    user = person(request)
    if user is None or user.is_superuser:
        return {}
    known: dict[UUID, Role] = _kept(request, "staff_roles", lambda: roles_of(user))
    return known


def clinics(request: HttpRequest) -> list[Organization]:
    """The person's active clinics by name; for a platform operator the first ``MOST_CLINICS_NAMED``."""
    if person(request) is None:
        return []
    named = Organization.objects.filter(active=True).order_by("name")[:MOST_CLINICS_NAMED]
    known: list[Organization] = _kept(request, "staff_clinics", lambda: list(named))
    return known


def sole_clinic(request: HttpRequest) -> Organization | None:
    """The person's clinic, where there is just one."""
    if is_operator(request):
        return None
    known = clinics(request)
    return known[0] if len(known) == 1 else None


def allowed_clinics(request: HttpRequest, permission: str) -> frozenset[UUID] | None:
    """The clinics where the person holds ``permission`` (app_label.codename); None means every clinic."""
    if is_operator(request):
        return None
    return frozenset(org_id for org_id, role in roles(request).items() if may(role, permission))


def holds(request: HttpRequest, permission: str, row: Model | None = None) -> bool:
    """Whether the person holds ``permission`` at the row's clinic; without a row, at any clinic."""
    user = person(request)
    return user is not None and user.has_perm(permission, row)


def _kept(request: HttpRequest, name: str, ask: Any) -> Any:
    if not hasattr(request, name):
        setattr(request, name, ask())
    return getattr(request, name)
