"""The one error of this package: its text is shown to a person as it stands."""

from __future__ import annotations


class RuntimeFault(Exception):
    """Something is in the way; the message says what to do, in one line or with a log's tail."""
