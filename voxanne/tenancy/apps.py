from __future__ import annotations

from django.apps import AppConfig


class TenancyConfig(AppConfig):
    name = "voxanne.tenancy"
    label = "tenancy"
    verbose_name = "Clinics and people"

    def ready(self) -> None:
        from voxanne.tenancy import checks  # noqa: F401  (registers its check)
