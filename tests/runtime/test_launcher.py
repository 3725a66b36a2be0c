from __future__ import annotations

import socket

import pytest

from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.launcher import _clear_the_way, process_specs
from voxanne.runtime.options import StackOptions
from voxanne.runtime.output import Terminal
from voxanne.runtime.state import STATE_FILE


def test_ports_in_use_are_named_in_one_line_before_anything_starts(options: StackOptions) -> None:
    with socket.create_server(("127.0.0.1", options.port)), pytest.raises(RuntimeFault) as caught:
        _clear_the_way(options, Terminal())
    assert "PORT 18801" in str(caught.value)
    assert "WS_PORT" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (options.data / STATE_FILE).exists()


def test_the_sandbox_is_stopped_after_everything_that_talks_to_it(options: StackOptions) -> None:
    ranks = {spec.name: spec.stop_rank for spec in process_specs(options)}
    sandbox = ranks.pop("sandbox")
    assert set(ranks) == {"web", "sockets", "worker", "beat"}
    assert max(ranks.values()) < sandbox


def test_every_server_listens_on_this_machine_only(options: StackOptions) -> None:
    commands = {spec.name: list(spec.command) for spec in process_specs(options)}
    for name in ("web", "sockets"):
        assert commands[name][-4:-1] == ["--host", "127.0.0.1", "--port"]
