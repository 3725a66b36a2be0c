"""Faults that can be asked for: which requests they strike, how often, and what they do."""

from __future__ import annotations

import random
from dataclasses import asdict
from itertools import count
from typing import Any

from voxanne.sandbox.exchange import Exchange
from voxanne.sandbox.fault import Fault

SERVICES = ("twilio", "google", "vapi", "slack")

REQUEST_KINDS = (
    "accepted_then_lost",
    "rate_limited",
    "server_error",
    "server_error_with_body",
    "slow",
    "slow_before",
    "connection_reset",
    "refused_permanent",
)
MESSAGE_KINDS = ("undelivered", "failed", "stays_sent", "stays_queued")
RECEIPT_KINDS = ("duplicate_receipts", "out_of_order_receipts", "receipt_before_reply", "no_receipts")
KINDS = REQUEST_KINDS + MESSAGE_KINDS + RECEIPT_KINDS

MATCH_FIELDS = ("to", "from", "path", "method", "body")


class BadFault(ValueError):
    """The description of a fault cannot be understood; the message says why."""


class FaultBook:
    """All faults asked for, in order. All that match a request strike it; the first that ends it wins."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._ids = count(1)

    def add(self, asked: dict[str, Any]) -> Fault:
        """Take a fault from the control API's JSON. Raises BadFault."""
        fault = Fault(id=next(self._ids), **_checked(asked))
        self._faults.append(fault)
        return fault

    def clear(self, service: str | None = None, fault_id: int | None = None) -> int:
        """Forget all faults, or those of one service, or one; returns how many."""
        kept = [
            fault
            for fault in self._faults
            if (service is not None and fault.service != service)
            or (fault_id is not None and fault.id != fault_id)
        ]
        removed = len(self._faults) - len(kept)
        self._faults = kept
        return removed

    def listing(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self._faults]

    def strike(self, exchange: Exchange) -> list[Fault]:
        """The faults this request draws; counts are used up."""
        drawn = [fault for fault in self._faults if _strikes(fault, exchange) and _draw(fault)]
        if drawn:
            self._faults = [fault for fault in self._faults if fault.count is None or fault.count > 0]
        return drawn


def _strikes(fault: Fault, exchange: Exchange) -> bool:
    return fault.service == exchange.service and all(
        _field_matches(name, wanted, exchange) for name, wanted in fault.match.items()
    )


def _draw(fault: Fault) -> bool:
    if fault.skip > 0:
        fault.skip -= 1
        return False
    if fault.probability < 1.0 and random.random() >= fault.probability:  # noqa: S311
        return False
    if fault.count is not None:
        if fault.count <= 0:
            return False
        fault.count -= 1
    fault.struck += 1
    return True


def _field_matches(name: str, wanted: str, exchange: Exchange) -> bool:
    if name == "path":
        return wanted in exchange.path
    if name == "method":
        return wanted.upper() == exchange.method
    if name == "body":
        return wanted in exchange.body.decode("utf-8", "replace")
    return exchange.form.get(name.capitalize()) == wanted


def _checked(asked: dict[str, Any]) -> dict[str, Any]:
    known = set(Fault.__dataclass_fields__) - {"id", "struck"}
    unknown = set(asked) - known
    if unknown:
        raise BadFault(f"unknown members: {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}")
    if asked.get("service") not in SERVICES:
        raise BadFault(f"service must be one of {', '.join(SERVICES)}")
    if asked.get("kind") not in KINDS:
        raise BadFault(f"kind must be one of {', '.join(KINDS)}")
    match = asked.get("match") or {}
    if not isinstance(match, dict) or set(match) - set(MATCH_FIELDS):
        raise BadFault(f"match may hold {', '.join(MATCH_FIELDS)}")
    return {**asked, "match": {name: str(value) for name, value in match.items()}}
