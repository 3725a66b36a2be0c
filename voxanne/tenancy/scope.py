"""Whose rows may be seen: the only way to a clinic's rows.

PostgreSQL enforces it: every clinic table has a row-level security policy that compares ``org_id`` with
the transaction's setting ``voxanne.org_ids``, which is empty outside a scope. The setting is local to the
transaction (a session-level one would survive into the next request that gets the connection).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction

from voxanne.statements import Statement, begun_with

SET_SCOPE = Statement(
    "SELECT set_config('voxanne.org_ids', %s::text, true), set_config('voxanne.platform', %s::text, true)"
)
# The same with its values written out, for the message that also carries BEGIN: the digits of a UUID hold no quote.
SCOPE_AT_BEGIN = (
    "SELECT set_config('voxanne.org_ids', '{}', true), set_config('voxanne.platform', '{}', true)"
)
# The same within a statement that is a transaction of its own, as a query of its WITH: it must be read FROM, so that
# it comes before the rows that the policy then judges. For ``scope_of_one_statement``.
SCOPE_OF_STATEMENT = """
SELECT set_config('voxanne.org_ids', %(org)s::uuid::text, true), set_config('voxanne.platform', '', true)
"""


class ScopeError(RuntimeError):
    """Clinic rows were asked for outside a scope, or a scope was opened wider than the one around it."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The clinics that may be seen; every clinic when ``platform_reason`` says why."""

    org_ids: frozenset[UUID]
    platform_reason: str | None = None

    @property
    def is_platform(self) -> bool:
        return self.platform_reason is not None

    def contains(self, inner: Scope) -> bool:
        return self.is_platform or (not inner.is_platform and inner.org_ids <= self.org_ids)


_current: ContextVar[Scope | None] = ContextVar("voxanne_scope", default=None)


def current_scope() -> Scope | None:
    return _current.get()


def insist_on_no_scope(whom: str) -> None:
    """Raises RuntimeError inside a scope: nobody outside is asked while its transaction would be kept waiting."""
    if _current.get() is not None:
        raise RuntimeError(f"{whom} is never called inside a scope: its transaction would be kept waiting.")


def required_scope() -> Scope:
    """The scope in force. Raises ScopeError when there is none."""
    scope = _current.get()
    if scope is None:
        raise ScopeError("Clinic rows are read inside org_scope(org_id) or platform_scope(reason).")
    return scope


@contextmanager
def org_scope(*org_ids: UUID) -> Iterator[None]:
    """One transaction in which the rows of these clinics, and no others, exist.

    Nested scopes may narrow, never widen: ScopeError.
    """
    with _scope(Scope(frozenset(org_ids))):
        yield


def scope_of_one_statement(org_id: UUID) -> AbstractContextManager[None]:
    """For a single statement that carries ``SCOPE_OF_STATEMENT``: nothing where no transaction is open, so that it is
    one round trip to the database instead of three; else the clinic's scope."""
    if _current.get() is None and not connection.in_atomic_block:
        return nullcontext()
    return org_scope(org_id)


@contextmanager
def within_org(org_id: UUID) -> Iterator[None]:
    """The scope in force where it is already this clinic's alone, without a savepoint; else one of its own."""
    if _current.get() == Scope(frozenset((org_id,))) and connection.in_atomic_block:
        yield
        return
    with org_scope(org_id):
        yield


def narrow_to(org_id: UUID) -> None:
    """From here to the end of the scope in force only this clinic's rows exist. Raises ScopeError where none did."""
    inner = Scope(frozenset((org_id,)))
    if not required_scope().contains(inner):
        raise ScopeError("A scope may narrow, never widen.")
    if inner != _current.get():
        _apply(inner)
        _current.set(inner)


@contextmanager
def platform_scope(reason: str) -> Iterator[None]:
    """One transaction of the platform's own work over all clinics; ``reason`` says which work."""
    with _scope(Scope(frozenset(), platform_reason=reason)):
        yield


@contextmanager
def scope_at_hand(reason: str) -> Iterator[None]:
    """The scope in force; the platform's own where there is none."""
    if _current.get() is not None:
        yield
    else:
        with platform_scope(reason):
            yield


@contextmanager
def _scope(scope: Scope) -> Iterator[None]:
    outer = _current.get()
    if outer is not None and not outer.contains(scope):
        raise ScopeError("A scope may narrow the one around it, never widen it.")
    with transaction.atomic():
        if scope != outer:
            _apply(scope)
        token = _current.set(scope)
        try:
            yield
        finally:
            left = _current.get()
            _current.reset(token)
        # A rollback takes the setting back by itself, and one that is to come lets nothing more be asked.
        if left != outer and connection.savepoint_ids and not connection.needs_rollback:
            _apply(outer)


def _apply(scope: Scope | None) -> None:
    org_ids = ",".join(sorted(org_id.hex for org_id in scope.org_ids)) if scope else ""
    platform = "on" if scope and scope.is_platform else ""
    if not begun_with(SCOPE_AT_BEGIN.format(org_ids, platform)):
        SET_SCOPE.row([org_ids, platform])
