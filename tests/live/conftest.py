from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.running import RunningSockets
from tests.tenancy.kept_clean import leave_nothing, quick_passwords

__all__ = ["leave_nothing", "quick_passwords"]


@pytest.fixture
def sockets(transactional_db: None) -> Iterator[RunningSockets]:
    """The sockets' own application behind a real server, on the suite's database and Redis."""
    running = RunningSockets()
    running.start()
    yield running
    running.stop()
