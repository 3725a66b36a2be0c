from __future__ import annotations

# The contracts are tried on the same clinics and calls as the addresses themselves.
from tests.telephony.conftest import call, clinics, elm, oak

__all__ = ["call", "clinics", "elm", "oak"]
