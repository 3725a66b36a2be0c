"""Staff and operations are told once a month of a budget that is nearly used up, and once when it is.

The row of the task decides that it is once, whoever finds it out first. Each process then remembers what was told, so
that sending on costs nothing more.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import transaction

from messaging.manners.policy import Policy
from messaging.staff_tasks import tell_staff
from messaging.states import TaskKind
from monitoring.alerts import Fact, Severity, alert

NEAR_PERCENT = 80
MOST_REMEMBERED = 1000
_told: set[str] = set()


def tell_when_near(org_id: UUID, policy: Policy, month: datetime, used: int) -> None:
    """Says so where four fifths of the month's segments are ``used``. In the clinic's scope, in the transaction that
    counts a text."""
    limit = policy.monthly_segments
    if limit is None or used * 100 < limit * NEAR_PERCENT:
        return
    said = (
        f"{used} of this month's {limit} segments of texts are used. Texts to many wait from now on, and reminders from"
        " 90 % on, so that who books is still told. Raise the budget under Texting rules if that is too little."
    )
    _tell(org_id, policy, month, used, "near", said)


def tell_when_spent(org_id: UUID, policy: Policy, month: datetime, used: int) -> None:
    """Says that nothing more goes out, confirmations included."""
    said = (
        f"This month's budget of {policy.monthly_segments} segments of texts is used up: nobody is texted any more, not"
        " even who books. Texts wait and none is lost as long as it is of use. Raise the budget under Texting rules, or"
        " call those who have to know."
    )
    _tell(org_id, policy, month, used, "spent", said)


def _tell(org_id: UUID, policy: Policy, month: datetime, used: int, level: str, said: str) -> None:
    key = f"text-budget:{month:%Y-%m}:{policy.monthly_segments}:{level}"
    once = f"{org_id}:{key}"
    if once in _told:
        return
    spent = level == "spent"
    told = tell_staff(
        org_id, kind=TaskKind.TEXT_BUDGET, text=said, dedupe_key=key, urgent=spent,
        about=f"texting-rules:{policy.id}",
    )  # fmt: skip
    transaction.on_commit(partial(_remember, once))
    if told is None:
        return
    severity = Severity.CRITICAL if spent else Severity.WARNING
    title = (
        "A clinic's budget of texts is used up." if spent else "A clinic's budget of texts is nearly used up."
    )
    facts: dict[str, Fact] = {"org_id": str(org_id), "used": used, "budget": policy.monthly_segments or 0}
    transaction.on_commit(partial(alert, severity, f"text_budget:{once}", title, **facts))


def _remember(once: str) -> None:
    if len(_told) >= MOST_REMEMBERED:
        _told.clear()
    _told.add(once)
