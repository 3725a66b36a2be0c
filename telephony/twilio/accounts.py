"""Whether what comes in at a Twilio door comes from a clinic's own account there."""

from __future__ import annotations

import structlog
from django.http import HttpRequest

from messaging.senders import account_at
from telephony.twilio.signature import signed_by
from voxanne.encryption import UnreadableCredential
from voxanne.tenancy.plan_cache import ClinicKey

logger = structlog.get_logger(__name__)


def is_from_account_of(request: HttpRequest, clinic: ClinicKey) -> bool:
    """Whether the clinic's account is the one that the request names, and signed it. Credentials that cannot be read
    prove nothing, and are told to operations; one clinic's stand in no other's way."""
    try:
        account = account_at(clinic)
    except UnreadableCredential:
        logger.exception("account_not_readable", org_id=str(clinic.org_id))
        return False
    return signed_by(request, account.sid, account.auth_token)
