"""The containers' file, read without an engine: it names what exists, and hands on every setting."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from voxanne.runtime.launcher import BEAT, SOCKETS, WORKER
from voxanne.runtime.state import PROJECT_ROOT

FILE = PROJECT_ROOT / "docker-compose.yml"
OURS = ("migrate", "web", "sockets", "worker", "beat")


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return loaded


def settings_in_the_docs() -> set[str]:
    """The names in the first column of the tables of docs/settings.md."""
    lines = (PROJECT_ROOT / "docs" / "settings.md").read_text(encoding="utf-8").splitlines()
    first = (line.split("|")[1] for line in lines if line.startswith("| `"))
    return {name for cell in first for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", cell)}


@pytest.mark.parametrize("service", OURS)
def test_every_setting_reaches_every_container(composed: dict[str, Any], service: str) -> None:
    assert settings_in_the_docs() - set(composed["services"][service]["environment"]) == set()


def test_what_a_container_waits_for_exists_and_can_be_waited_for(composed: dict[str, Any]) -> None:
    services = composed["services"]
    for service in services.values():
        for name, wait in service.get("depends_on", {}).items():
            assert name in services
            assert wait["condition"] != "service_healthy" or "healthcheck" in services[name], name


def test_containers_run_the_programs_that_make_run_does(composed: dict[str, Any]) -> None:
    services = composed["services"]
    for service, started in (("sockets", SOCKETS), ("worker", WORKER), ("beat", BEAT)):
        program = started.replace("celery -q -A", "celery -A").split(" -l ")[0].split(" --log-level")[0]
        named = " ".join(services[service]["command"])
        assert all(word in named for word in program.split()), service


def test_no_port_is_open_to_the_network(composed: dict[str, Any]) -> None:
    for service in composed["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed here")
def test_compose_itself_takes_the_file() -> None:
    told = subprocess.run(
        ["docker-compose", "--file", str(FILE), "config", "--quiet"],
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "POSTGRES_PASSWORD": "of-a-test"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told.stderr
