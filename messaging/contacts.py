"""Contacts: one row a clinic and phone number, whoever of the family calls."""

from __future__ import annotations

from uuid import UUID

from django.utils import timezone

from messaging.models import Contact
from messaging.states import ConsentSource
from voxanne.statements import Statement
from voxanne.tenancy.ids import new_id

MOST_NAMES = 10

# DO UPDATE, not DO NOTHING: it locks the row, so two wishes of one contact are seen one after the other.
UPSERT_BY_PHONE = Statement("""
INSERT INTO contacts (id, org_id, phone, email, name, names, language, consent_source, consent_at, created_at,
                      updated_at)
VALUES (%(id)s, %(org)s, %(phone)s, %(email)s, %(name)s, %(names)s::varchar[], 'en', %(consent)s::varchar,
        CASE WHEN %(consent)s::varchar <> '' THEN now() END, now(), now())
ON CONFLICT (org_id, phone) DO UPDATE SET
    name = CASE WHEN contacts.name = '' THEN excluded.name ELSE contacts.name END,
    names = CASE WHEN excluded.names <@ contacts.names THEN contacts.names
                 ELSE (contacts.names || excluded.names)[1:%(most)s] END,
    email = CASE WHEN contacts.email = '' THEN excluded.email ELSE contacts.email END,
    consent_source = CASE WHEN contacts.consent_at IS NULL THEN excluded.consent_source
                          ELSE contacts.consent_source END,
    consent_at = coalesce(contacts.consent_at, excluded.consent_at),
    updated_at = now()
RETURNING id
""")
UPSERT_BY_EMAIL = Statement("""
INSERT INTO contacts (id, org_id, phone, email, name, names, language, consent_source, created_at, updated_at)
VALUES (%(id)s, %(org)s, NULL, %(email)s, %(name)s, %(names)s::varchar[], 'en', '', now(), now())
ON CONFLICT (org_id, email) WHERE phone IS NULL DO UPDATE SET
    name = CASE WHEN contacts.name = '' THEN excluded.name ELSE contacts.name END,
    updated_at = now()
RETURNING id
""")


def upsert_contact(
    org_id: UUID, *, phone: str | None, name: str = "", email: str = "", consent: ConsentSource | None = None
) -> UUID:
    """The contact of this phone (E.164), else of this e-mail address; made when new. ``consent``: how they came to be
    texted, kept where nothing is known of it yet.

    The row stays locked until the transaction ends. A name that is already known is kept: a caller may add
    to what we know of a number, not rewrite it. Raises ValueError without phone and e-mail.
    """
    if not phone and not email:
        raise ValueError("A contact needs a phone number or an e-mail address.")
    values = {
        "id": new_id(),
        "org": org_id,
        "phone": phone,
        "email": email.strip().lower(),
        "name": name,
        "names": [name] if name else [],
        "consent": consent.value if consent and phone else "",
        "most": MOST_NAMES,
    }
    row = (UPSERT_BY_PHONE if phone else UPSERT_BY_EMAIL).row(values)
    if row is None:
        raise LookupError("The contact was neither made nor found.")
    contact_id: UUID = row[0]
    return contact_id


def note_consent(org_id: UUID, phone: str, source: ConsentSource, *, anew: bool = False) -> None:
    """Keeps how this person came to be texted, where that is not known; ``anew``, also where it is. Inside the
    clinic's scope."""
    contacts = Contact.objects.filter(org_id=org_id, phone=phone)
    if not anew:
        contacts = contacts.filter(consent_at=None)
    now = timezone.now()
    contacts.update(consent_source=source.value, consent_at=now, updated_at=now)
