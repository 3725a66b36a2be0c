"""Who watches live calls, at which clinics, and what they may hear and do there. Asked on a thread, not on the
event loop; and asked again while they watch, since people leave and roles change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from telephony.live.tokens import InvalidToken, verified_claims
from voxanne.tenancy.access import roles_of
from voxanne.tenancy.models import Organization, Role, User
from voxanne.tenancy.scope import org_scope


class NotSignedIn(Exception):
    """No session and no token that holds."""


class NotAllowed(Exception):
    """Signed in, but not for the clinic that was asked for, or for none."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What a watcher may read and do at one clinic."""

    reads_transcripts: bool
    commands: bool


@dataclass(frozen=True, slots=True)
class Watcher:
    """``name`` tells one from another, for counting their sockets; ``user_id`` is None for a token's bearer."""

    name: str
    user_id: int | None
    clinics: Mapping[UUID, Rights]


@dataclass(frozen=True, slots=True)
class Credential:
    """How somebody signed in: a session's key or a token, and the one clinic they asked for, if any."""

    session_key: str = ""
    token: str = ""
    clinic: UUID | None = None


EVERYTHING = Rights(reads_transcripts=True, commands=True)
# A token without a role is the clinic's own program: it listens, and commands nothing.
OF_A_TOKEN = Rights(reads_transcripts=True, commands=False)
OF_A_VIEWER = Rights(reads_transcripts=False, commands=False)


def rights_of(role: Role) -> Rights:
    return OF_A_VIEWER if role == Role.VIEWER else EVERYTHING


def watcher_of(credential: Credential) -> Watcher:
    """Whom the credential stands for now. Raises NotSignedIn, NotAllowed or DatabaseError."""
    if credential.token:
        return _bearer(credential)
    person = _signed_in(credential.session_key)
    if person.is_superuser:
        clinics = _of_an_operator(credential.clinic)
    else:
        clinics = {org_id: rights_of(role) for org_id, role in roles_of(person).items()}
        if credential.clinic is not None:
            clinics = {org_id: held for org_id, held in clinics.items() if org_id == credential.clinic}
    if not clinics:
        raise NotAllowed
    return Watcher(f"user:{person.pk}", person.pk, clinics)


def _signed_in(session_key: str) -> User:
    request: Any = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    person = get_user(request) if session_key else None
    if not isinstance(person, User) or not person.is_active:
        raise NotSignedIn
    return person


def _of_an_operator(clinic: UUID | None) -> dict[UUID, Rights]:
    """A platform operator belongs to no clinic, and so names the one to watch."""
    return {clinic: EVERYTHING} if clinic is not None and _is_active(clinic) else {}


def _bearer(credential: Credential) -> Watcher:
    try:
        claims = verified_claims(credential.token)
    except InvalidToken as error:
        raise NotSignedIn from error
    clinic = claims.org_id
    if clinic is None or credential.clinic not in (None, clinic) or not _is_active(clinic):
        raise NotAllowed
    rights = OF_A_TOKEN if claims.role is None else rights_of(claims.role)
    return Watcher(f"token:{clinic}:{claims.subject}", None, {clinic: rights})


def _is_active(clinic: UUID) -> bool:
    with org_scope(clinic):
        return Organization.objects.filter(pk=clinic, active=True).exists()
