"""Each test gets a data folder of its own, so that the servers of the test run are never touched."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from voxanne.runtime import servers, store
from voxanne.runtime.options import StackOptions

OUTSIDE = ("DATABASE_URL", "DATABASE_URL_FILE", "REDIS_URL", "REDIS_URL_FILE")


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A new folder; it stays the runtime's whatever the test does to its own monkeypatch."""
    with own_data_folder(tmp_path / "data") as folder:
        yield folder
        servers.stop_servers()
    discard(folder)


@pytest.fixture(scope="module")
def folder_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("runtime") / "data"
    yield folder
    discard(folder)


@pytest.fixture
def reused(folder_of_module: Path) -> Iterator[Path]:
    """The module's folder: made by the first test, found with its servers stopped by the others."""
    with own_data_folder(folder_of_module):
        yield folder_of_module
        servers.stop_servers()


@contextmanager
def own_data_folder(folder: Path) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOXANNE_DATA_DIR", str(folder))
        for name in OUTSIDE:
            patch.delenv(name, raising=False)
        yield folder


def discard(folder: Path) -> None:
    """Removes a folder whose servers are stopped, and what it kept elsewhere."""
    shutil.rmtree(folder, ignore_errors=True)
    for place in store.SHARED_PLACES:
        store.drop_orphans(place)


@pytest.fixture
def said() -> list[str]:
    """Collects what is announced: pass ``said.append``."""
    return []


@pytest.fixture
def options(tmp_path: Path) -> StackOptions:
    return StackOptions(port=18801, ws_port=18802, sandbox_port=18803, data=tmp_path, demo_call=True)


def query(url: str, statement: str) -> object:
    """The first value a statement answers with; None when it answers with no row."""
    with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None
