"""The Celery application: an alarm clock. Truth stays in PostgreSQL; a task only names a row."""

from __future__ import annotations

import os
import sys
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voxanne.settings")

app = Celery("voxanne")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
@beat_init.connect
def refuse_unbound_role(**_: Any) -> None:
    """Ends the process, with a word where Celery does not catch it: what else a receiver raises is logged, and
    the process goes on."""
    import django
    from django.core.exceptions import ImproperlyConfigured

    django.setup(set_prefix=False)
    from voxanne.tenancy import checks

    try:
        checks.refuse_unbound_role()
    except ImproperlyConfigured as fault:
        print(fault, file=sys.__stderr__, flush=True)
        raise SystemExit(1) from fault
