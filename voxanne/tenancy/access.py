"""Which clinics a signed-in person may see, and as what. Asked before any scope is open."""

from __future__ import annotations

from uuid import UUID

from django.db import connection

from voxanne.tenancy.models import Role, User


def roles_of(user: User) -> dict[UUID, Role]:
    """The person's role at each of their active clinics; one narrow database function, no scope needed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id, role FROM clinics_of_user(%s)", [user.pk])
        return {org_id: Role(role) for org_id, role in cursor.fetchall()}
