"""What a clinic's machine answers by itself: who texts decides how often, and from which number somebody pretends to.

So such an answer stands last in line, behind what people asked for; it uses nothing of what is kept for confirmations;
and it stays within the clinic's own country, save for people whom the clinic knows by more than their texts. How many
may be written is kept by ``messaging/conversation/book.py``.
"""

from __future__ import annotations

from django.db.models import OuterRef, Q, Subquery

from messaging.conversation.models import Conversation
from messaging.conversation.phones import is_a_persons
from messaging.models import Contact
from messaging.phone_numbers import is_of_country
from voxanne.tenancy.models import Organization

# As a message's ``priority`` has it.
LAST_IN_LINE = 2
HELP_KEY, CLOSED_KEY = "help:{}", "auto-reply:{}"


def may_be_answered(clinic: Organization, number: str) -> bool:
    """Whether a machine may text ``number`` without a person's doing. Inside the clinic's scope."""
    if not is_a_persons(number):
        return False
    return is_of_country(number, clinic.country) or _is_known(clinic, number)


def _is_known(clinic: Organization, number: str) -> bool:
    """A contact from before their first text, or with a name: a text alone gives neither."""
    first_text = Conversation.objects.filter(org_id=clinic.pk, number=OuterRef("phone")).values("created_at")
    known = Q(created_at__lt=Subquery(first_text[:1])) | ~Q(name="")
    return Contact.objects.filter(known, org_id=clinic.pk, phone=number).exists()
