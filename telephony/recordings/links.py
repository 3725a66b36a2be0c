"""Short-lived links to a recording, bound to it, to its clinic and to the person they were made for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.signing import BadSignature, TimestampSigner
from django.urls import reverse

from telephony.models import Recording
from telephony.recordings.states import RecordingState
from voxanne.tenancy.access import roles_of
from voxanne.tenancy.models import User
from voxanne.tenancy.permissions import may
from voxanne.tenancy.scope import org_scope

LISTEN = "telephony.view_recording"
VALID_FOR = timedelta(minutes=5)
SALT = "telephony.recording"


@dataclass(frozen=True, slots=True)
class Link:
    recording_id: UUID
    org_id: UUID
    user_id: int


def link_to(recording: Recording, user: User) -> str:
    """The address at which this person may listen for a while."""
    told = {"r": str(recording.pk), "o": str(recording.org_id), "u": user.pk}
    return reverse("recording", args=[_signer().sign_object(told)])


def read_link(signed: str) -> Link:
    """What the link stands for. Raises BadSignature, also for one that has run out."""
    told: Any = _signer().unsign_object(signed, max_age=VALID_FOR)
    try:
        return Link(UUID(told["r"]), UUID(told["o"]), int(told["u"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BadSignature("It is signed, and names no recording.") from error


def recording_behind(link: Link) -> Recording | None:
    """The kept recording; None where it is gone, or the person may not listen there any more."""
    person = User.objects.filter(pk=link.user_id, is_active=True).first()
    if person is None or not _may_listen(person, link.org_id):
        return None
    with org_scope(link.org_id):
        kept = Recording.objects.filter(org_id=link.org_id, state=RecordingState.STORED)
        return kept.filter(pk=link.recording_id).first()


def _may_listen(person: User, org_id: UUID) -> bool:
    role = roles_of(person).get(org_id)
    return person.is_superuser or (role is not None and may(role, LISTEN))


def _signer() -> TimestampSigner:
    return TimestampSigner(salt=SALT)
