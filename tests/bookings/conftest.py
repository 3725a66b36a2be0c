from __future__ import annotations

from tests.sandbox.conftest import sandbox, sandbox_process
from tests.tenancy.kept_clean import leave_nothing, quick_passwords

__all__ = ["leave_nothing", "quick_passwords", "sandbox", "sandbox_process"]
