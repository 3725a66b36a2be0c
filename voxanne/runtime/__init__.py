"""What stands beside the product on a developer's machine: embedded servers and the process runner."""

from __future__ import annotations
