"""The database is asked on a few threads of the sockets' process, never on its event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import close_old_connections

Answer = TypeVar("Answer")

# Each keeps a connection once it has had work.
MOST_THREADS = 3
_pool = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="live")


async def off_the_loop(work: Callable[[], Answer]) -> Answer:
    """What ``work()`` returns or raises."""

    def done() -> Answer:
        close_old_connections()
        try:
            return work()
        finally:
            close_old_connections()

    return await asyncio.get_running_loop().run_in_executor(_pool, done)
