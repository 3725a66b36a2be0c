"""The tables of states of every kind that is registered: complete, and fit for the mechanism."""

from __future__ import annotations

import pytest

from voxanne.durable.lifecycle import ForbiddenTransition, Lifecycle
from voxanne.durable.registry import all_kinds, kind_named, register
from voxanne.durable.work import WorkKind

KINDS = pytest.mark.parametrize("kind", all_kinds(), ids=lambda kind: kind.name)


def states_of(kind: WorkKind) -> set[str]:  # type: ignore[type-arg]
    choices = kind.model._meta.get_field("state").choices
    return {str(value) for value, _ in choices or ()}


def test_the_kinds_of_every_floor_are_registered() -> None:
    assert {"sms-delivery", "calendar-push", "call-command"} <= {kind.name for kind in all_kinds()}


def test_a_kind_is_found_by_its_name() -> None:
    assert all(kind_named(kind.name) is kind for kind in all_kinds())
    with pytest.raises(KeyError):
        kind_named("no such kind")


def test_registering_a_kind_again_replaces_it() -> None:
    before = all_kinds()
    register(before[0])
    assert all_kinds() == before


@KINDS
def test_the_table_speaks_of_the_models_states_and_of_all_of_them(kind: WorkKind) -> None:  # type: ignore[type-arg]
    table = kind.model.lifecycle.transitions
    assert set(table) == states_of(kind)
    assert set().union(*table.values()) <= states_of(kind)


@KINDS
def test_the_table_allows_what_the_mechanism_does(kind: WorkKind) -> None:  # type: ignore[type-arg]
    states = kind.model.lifecycle
    states.check(states.waiting, states.claimed)
    for target in (states.waiting, states.lost, states.dead):
        states.check(states.claimed, target)
    states.check(states.dead, states.waiting)
    if kind.resolve is not None:
        for target in (states.lost, states.waiting, states.dead):
            states.check(states.lost, target)


@KINDS
def test_every_state_can_be_left_or_is_an_end_that_is_reached(kind: WorkKind) -> None:  # type: ignore[type-arg]
    table = kind.model.lifecycle.transitions
    reached = set().union(*table.values()) | {kind.model.lifecycle.waiting}
    assert states_of(kind) <= reached


@KINDS
def test_stamps_and_clears_name_columns_that_may_be_empty(kind: WorkKind) -> None:  # type: ignore[type-arg]
    states = kind.model.lifecycle
    for state, columns in [*states.stamps.items(), *states.clears.items()]:
        assert str(state) in states_of(kind)
        assert all(kind.model._meta.get_field(column).null for column in columns)


@KINDS
def test_rows_due_are_found_by_an_index(kind: WorkKind) -> None:  # type: ignore[type-arg]
    indexed = [index.fields[:1] for index in kind.model._meta.indexes if index.condition is not None]
    assert ["state"] in indexed


def test_a_change_that_is_not_in_the_table_is_forbidden() -> None:
    states = Lifecycle("waits", "works", "waits", "dead", {"waits": frozenset({"works"})})
    states.check("waits", "works")
    for source, target in (("works", "waits"), ("waits", "dead"), ("nowhere", "works")):
        with pytest.raises(ForbiddenTransition):
            states.check(source, target)
    assert states.sources("works") == ("waits",)
    assert states.sources("dead") == ()
