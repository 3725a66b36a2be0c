"""Who wants to know when a text first leaves: higher floors measure from what they promised to that moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from messaging.models import Message
from messaging.states import MessageKind

Listener = Callable[[Message, datetime], None]
_listeners: dict[MessageKind, Listener] = {}


def on_first_try(kinds: tuple[MessageKind, ...], listener: Listener) -> None:
    """``listener`` is told of each text of these kinds in the transaction that claims it for its first try, in the
    clinic's scope; once more where it goes by SMS after all. Called from ``AppConfig.ready()``."""
    for kind in kinds:
        _listeners[kind] = listener


def tell_of_first_try(message: Message, at: datetime) -> None:
    listener = _listeners.get(MessageKind(message.kind))
    if listener is not None:
        listener(message, at)
