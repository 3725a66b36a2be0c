"""The HTTP door: a lean chain where a caller waits, the full one for people's pages."""

from __future__ import annotations

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voxanne.settings")
django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402  (settings exist only after setup)
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402

import voxanne.celery  # noqa: E402, F401  (tasks published from here need the configured application)
from telephony.api.signing_keys import begin_fetching  # noqa: E402
from voxanne.durable.callers import answering  # noqa: E402
from voxanne.tenancy.checks import refuse_unbound_role  # noqa: E402

refuse_unbound_role()
begin_fetching()


class ProviderHandler(WSGIHandler):
    """Leaves out sessions, cookies and CSRF, for addresses that providers and probes call."""

    def load_middleware(self, is_async: bool = False) -> None:
        everything = settings.MIDDLEWARE
        settings.MIDDLEWARE = settings.PROVIDER_MIDDLEWARE
        try:
            super().load_middleware(is_async)
        finally:
            settings.MIDDLEWARE = everything


people = WSGIHandler()
providers = ProviderHandler()


def application(environ: dict[str, Any], start_response: Any) -> Any:
    path: str = environ.get("PATH_INFO", "")
    if path.startswith(settings.CALLER_PREFIXES):
        with answering():
            return providers(environ, start_response)
    handler = providers if path.startswith(settings.PROVIDER_PREFIXES) else people
    return handler(environ, start_response)
