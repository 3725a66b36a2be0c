"""Templates that must not be sent, found ahead: ours by Django's system check, clinics' own with the database.

The form refuses such words (messaging/admin/wording.py), and a template that slipped past it is not used
(messaging/words/wording.py); here a person hears of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DatabaseError

from messaging.manners.keyword_replies import HELP_ANSWER
from messaging.models import MessageTemplate
from messaging.words.wording import DEFAULT_TEMPLATES, check_template
from voxanne.tenancy.scope import platform_scope

MOST_NAMED = 20


def faults_of_defaults() -> list[str]:
    """One sentence for each text of ours that cannot be sent."""
    ours = {kind.value: body for kind, body in DEFAULT_TEMPLATES.items()} | {"help": HELP_ANSWER}
    return [f"Our own {kind}: {fault}" for kind, body in ours.items() if (fault := fault_of(body))]


def faults_of_stored() -> list[str]:
    """The same of clinics' own words; which clinic's, by its slug. Raises DatabaseError."""
    with platform_scope("can every template be sent"):
        rows = MessageTemplate.objects.order_by("org__slug", "kind").values_list("org__slug", "kind", "body")
        found = [
            f"{slug}, {kind}: {fault}" for slug, kind, body in rows.iterator() if (fault := fault_of(body))
        ]
    more = len(found) - MOST_NAMED
    return [*found[:MOST_NAMED], *([f"And {more} more."] if more > 0 else [])]


def fault_of(body: str) -> str:
    """Why these words cannot be sent; blank when they can."""
    try:
        check_template(body)
    except ValueError as error:
        return str(error)
    return ""


@register
def check_default_templates(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Django's system check over our own words."""
    return [Error(fault, id="messaging.E001") for fault in faults_of_defaults()]


@register(Tags.database)
def check_stored_templates(
    app_configs: Any, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """The same over clinics' words: ``manage.py check --database default``. Tables that are not there yet hold none."""
    if "default" not in (databases or ()):
        return []
    try:
        return [checks.Warning(fault, id="messaging.W001") for fault in faults_of_stored()]
    except DatabaseError:
        return []
