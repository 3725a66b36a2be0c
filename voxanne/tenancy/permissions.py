"""What a role may do. Granted by membership, checked row by row; superusers are platform operators."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.backends import ModelBackend
from django.db import models

from voxanne.tenancy.access import roles_of
from voxanne.tenancy.models import Role, User

VIEW = frozenset({"view"})
EDIT = frozenset({"view", "add", "change"})
REMOVE = EDIT | {"delete"}

# What each role may do to a kind of row; a kind that is not named can only be looked at.
DAILY_WORK = frozenset({"contact", "appointment", "stafftask", "conversation"})
CLINIC_SETUP = frozenset(
    {
        "provider",
        "service",
        "providerservice",
        "workinghours",
        "closure",
        "messagetemplate",
        "whatsapptemplate",
        "messagingpolicy",
        "replysettings",
        "transferdestination",
        "callsettings",
    }
)
ACTIONS_ON_NUMBERS = frozenset({"drill_phonenumber"})
ACTIONS_ON_MESSAGES = frozenset(
    {"redrive_message", "discard_message", "decide_message", "pause_senderaccount", "replay_webhookdelivery"}
)
ACTIONS_AT_THE_DESK = frozenset({"record_optout"})
# What patients said, in their own voices.
SPOKEN = frozenset({"recording"})
ACTIONS_ON_RECORDINGS = frozenset({"delete_recording", "redrive_recording"})


def verbs(role: Role, kind: str) -> frozenset[str]:
    """The verbs (view, add, change, delete) that ``role`` has on rows of ``kind`` (a model name)."""
    if kind in DAILY_WORK and role != Role.VIEWER:
        return EDIT
    if kind in CLINIC_SETUP and role in (Role.OWNER, Role.MANAGER):
        return REMOVE
    if kind in SPOKEN and role == Role.VIEWER:
        return frozenset()
    if kind == "membership" and role != Role.OWNER:
        return frozenset()
    return VIEW


def may(role: Role, permission: str) -> bool:
    """Whether ``role`` holds ``app_label.codename``."""
    codename = permission.rpartition(".")[2]
    if codename in ACTIONS_ON_MESSAGES | ACTIONS_ON_NUMBERS | ACTIONS_ON_RECORDINGS:
        return role in (Role.OWNER, Role.MANAGER)
    if codename in ACTIONS_AT_THE_DESK:
        return role != Role.VIEWER
    verb, _, kind = codename.partition("_")
    return verb in verbs(role, kind)


class MembershipBackend(ModelBackend):
    """Permissions from memberships: on a row, by the role at its clinic; in general, by any role held."""

    def has_perm(self, user_obj: Any, perm: str, obj: models.Model | None = None) -> bool:
        if not isinstance(user_obj, User) or not user_obj.is_active:
            return False
        if user_obj.is_superuser:
            return True
        roles = self._roles(user_obj)
        org_id: UUID | None = getattr(obj, "org_id", None)
        if org_id is not None:
            return org_id in roles and may(roles[org_id], perm)
        return any(may(role, perm) for role in roles.values())

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        return (
            isinstance(user_obj, User)
            and user_obj.is_active
            and (user_obj.is_superuser or bool(self._roles(user_obj)))
        )

    def _roles(self, user: User) -> dict[UUID, Role]:
        if not hasattr(user, "_clinic_roles"):
            user._clinic_roles = roles_of(user)  # type: ignore[attr-defined]
        roles: dict[UUID, Role] = user._clinic_roles  # type: ignore[attr-defined]
        return roles
