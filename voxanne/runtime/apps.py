from __future__ import annotations

from django.apps import AppConfig


class RuntimeConfig(AppConfig):
    name = "voxanne.runtime"
    label = "runtime"
