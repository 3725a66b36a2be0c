from __future__ import annotations

from django.apps import AppConfig


class StaffConfig(AppConfig):
    name = "voxanne.staff"
    label = "staff"
    verbose_name = "Staff pages"

    def ready(self) -> None:
        from voxanne.staff.naming import name_pages
        from voxanne.staff.site import prepare_site

        prepare_site()
        name_pages()
