from __future__ import annotations

from tests.tenancy.kept_clean import leave_nothing, quick_passwords

__all__ = ["leave_nothing", "quick_passwords"]
