"""The role that serves must not see past its scope. The database itself is asked, since it holds the line."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, connections

logger = structlog.get_logger(__name__)

# Whoever has an owner's rights has its policy too, and that one shows every row.
RIGHTS = """
SELECT r.rolname, r.rolsuper, r.rolbypassrls,
       EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'public' AND c.relrowsecurity AND pg_has_role(current_user, c.relowner, 'USAGE'))
FROM pg_roles r WHERE r.rolname = current_user
"""
WHAT_TO_DO = (
    "Name a role without these rights in DATABASE_URL, or leave DATABASE_OWNER_URL unset: "
    "then `migrate` makes one."
)


def serving_role_faults() -> list[str]:
    """Why the role that serves is not bound by row-level security, one sentence a reason; none when it is.

    Raises OperationalError when the database cannot be asked.
    """
    with connections["default"].cursor() as cursor:
        cursor.execute(RIGHTS)
        name, is_superuser, bypasses, owns = cursor.fetchone()
    reasons = {
        "is a superuser": is_superuser,
        "has BYPASSRLS": bypasses and not is_superuser,
        "has the rights of the tables' owner": owns and not is_superuser,
    }
    return [
        f"The database role {name} {reason}, so it would see every clinic's rows. {WHAT_TO_DO}"
        for reason, holds in reasons.items()
        if holds
    ]


@register(Tags.database)
def check_serving_role(
    app_configs: Any, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Django's system check: ``manage.py check --database default``."""
    if "default" not in (databases or ()):
        return []
    return [Error(fault, id="tenancy.E001") for fault in serving_role_faults()]


def refuse_unbound_role() -> None:
    """In production, keeps a process from serving as a role that could bypass row-level security.

    Raises ImproperlyConfigured. A database that is away at the start keeps nobody from starting.
    """
    if not settings.PRODUCTION:
        return
    # A thread of its own: an event loop may be running here, and no connection stays behind.
    with ThreadPoolExecutor(1) as aside:
        faults = aside.submit(_faults_if_there).result()
    if faults:
        raise ImproperlyConfigured("The database role needs attention:\n- " + "\n- ".join(faults))


def _faults_if_there() -> list[str]:
    try:
        return serving_role_faults()
    except (OperationalError, InterfaceError) as error:
        logger.warning("serving_role_not_checked", reason=type(error).__name__)
        return []
    finally:
        connections["default"].close()
