"""The product started anew with an environment of its own, on the suite's database."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from voxanne.runtime.quality import production_like
from voxanne.runtime.servers import ServerUrls

ROOT = Path(__file__).resolve().parents[2]
Ran = subprocess.CompletedProcess[str]


def of_the_suite(url: str) -> str:
    """The same server and role, but the suite's own database."""
    name = settings.DATABASES["default"]["NAME"]
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def run(program: str | Sequence[str], **environment: str) -> Ran:
    """Python code, or the words behind ``python``; what it printed and how it ended."""
    words = ["-c", program] if isinstance(program, str) else list(program)
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "voxanne.settings", **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
    )


def last_line(ran: Ran) -> str:
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip().splitlines()[-1]


def in_production(database_url: str, owner_url: str | None = None) -> dict[str, str]:
    """Settings that production accepts, serving by ``database_url``."""
    environment = production_like(ServerUrls(database_url, settings.REDIS_URL))
    return environment | ({"DATABASE_OWNER_URL": owner_url} if owner_url else {})
