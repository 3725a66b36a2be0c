"""What somebody reads who may not do what they asked for: who can, instead of a bare "forbidden"."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from voxanne.staff import people
from voxanne.tenancy.models import Membership, Role
from voxanne.tenancy.permissions import may

MOST_NAMED = 6


def may_not(
    admin: Any, request: HttpRequest, permission: str, org_ids: Collection[UUID] = ()
) -> HttpResponse:
    """403, as a page that names the people who hold ``permission`` at these clinics, or at the person's own."""
    context = {
        **admin.admin_site.each_context(request),
        "title": "Not for your role",
        "who": who_may(permission, org_ids or people.roles(request).keys()),
        "back": reverse(f"admin:{admin.opts.app_label}_{admin.opts.model_name}_changelist"),
    }
    return TemplateResponse(request, "staff/may_not.html", context, status=403)


def who_may(permission: str, org_ids: Collection[UUID]) -> list[str]:
    """The people at these clinics who hold ``permission``, such as "Mia Chen (manager)"; the first few by name. Inside
    a scope that holds the clinics."""
    roles = [role for role in Role if may(role, permission)]
    held = Membership.objects.filter(org_id__in=org_ids, role__in=roles, user__is_active=True)
    found = held.select_related("user").order_by("user__last_name", "user__username")
    named = [
        f"{one.user.get_full_name() or one.user} ({one.get_role_display().lower()})" for one in found[:50]
    ]
    return list(dict.fromkeys(named))[:MOST_NAMED]
