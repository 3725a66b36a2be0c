"""What our HTTP sessions to providers have in common."""

from __future__ import annotations

from functools import lru_cache

import requests
from requests.utils import get_environ_proxies


def keep_proxies(session: requests.Session, base_url: str) -> None:
    """Reads the environment's proxy settings for this provider once a process, instead of at each request.

    requests looks through the whole environment and for a netrc file every time, which took a third of the
    processor time of sending one text; our credentials never come from a netrc.
    """
    session.trust_env = False
    session.proxies.update(_proxies(base_url))


@lru_cache(maxsize=16)
def _proxies(base_url: str) -> dict[str, str]:
    return dict(get_environ_proxies(base_url))
