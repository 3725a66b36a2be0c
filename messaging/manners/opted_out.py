"""Who wants to know when a person opts out of texts: higher floors know what that person still has to hear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class OptedOut:
    """``number`` (E.164) takes no more texts of the clinic's. ``word`` is what they texted, in capitals; blank where
    the carrier said it. ``key`` names the occasion."""

    org_id: UUID
    number: str
    key: str
    word: str = ""


Listener = Callable[[OptedOut], None]
_listeners: list[Listener] = []


def on_opt_out(listener: Listener) -> None:
    """``listener`` is told in the transaction that writes it down, in the clinic's scope. Called from
    ``AppConfig.ready()``."""
    _listeners.append(listener)


def tell_of_opt_out(opted_out: OptedOut) -> None:
    for listener in _listeners:
        listener(opted_out)
