"""The Celery application: an alarm clock. Truth stays in PostgreSQL; a task only names a row."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voxanne.settings")

app = Celery("voxanne")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
