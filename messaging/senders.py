"""Which account and number a clinic texts from."""

from __future__ import annotations

from uuid import UUID

from messaging.models import SenderAccount
from messaging.providers.twilio.client import Account, platform_account
from voxanne.statements import Statement
from voxanne.tenancy.plan_cache import ClinicKey, PlanCache
from voxanne.tenancy.scope import org_scope

# Also of numbers that patients dial, of WhatsApp's and of messaging services: the function looks at all of them.
IS_ANOTHERS = Statement("SELECT is_number_of_another_clinic(%s::text, %s::uuid)")
ANOTHERS_NUMBER = "This number belongs to another clinic."
ANOTHERS_SERVICE = "This messaging service belongs to another clinic."


def is_anothers_number(number: str, org_id: UUID) -> bool:
    """Whether another clinic texts from this number (or messaging service) or is dialled on it; which one is not
    told."""
    row = IS_ANOTHERS.row([number, org_id])
    return row is not None and bool(row[0])


def account_of(sender: SenderAccount | None) -> Account:
    """The clinic's own Twilio account, else the platform's."""
    if sender is None or not sender.account_sid:
        return platform_account()
    return Account(sender.account_sid, sender.auth_token, sender.api_key, sender.api_secret)


def account_of_clinic(org_id: UUID) -> Account:
    with org_scope(org_id):
        return account_of(SenderAccount.objects.filter(org_id=org_id).first())


_accounts: PlanCache[Account] = PlanCache(account_of_clinic)


def account_at(clinic: ClinicKey) -> Account:
    """The same, for those who were told the clinic's version: asked of the database once a version."""
    return _accounts.get(clinic)
