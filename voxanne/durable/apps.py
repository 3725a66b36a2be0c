from __future__ import annotations

from django.apps import AppConfig


class DurableConfig(AppConfig):
    name = "voxanne.durable"
    label = "durable"
    verbose_name = "Durable work"
