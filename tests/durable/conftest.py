from __future__ import annotations

from typing import Any

import pytest

from tests.tenancy.kept_clean import leave_nothing, quick_passwords
from voxanne.durable import registry
from voxanne.durable.work import WorkKind

__all__ = ["leave_nothing", "quick_passwords"]


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> dict[str, WorkKind[Any]]:
    """The only kinds that are registered."""
    known: dict[str, WorkKind[Any]] = {}
    monkeypatch.setattr(registry, "_kinds", known)
    return known
