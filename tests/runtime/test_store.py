"""Root's servers run as somebody else, whatever folders stand in between."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from voxanne.runtime.binaries import bundle_name, find_postgres
from voxanne.runtime.faults import RuntimeFault
from voxanne.runtime.servers import ensure_servers, server_status, stop_servers
from voxanne.runtime.state import POSTGRES, read_state
from voxanne.runtime.store import OWNER_FILE, SHARED_PLACES, drop_orphans, open_store, reachable_postgres

from .conftest import own_data_folder

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up its rights")


def uid_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def postgres_folder(data: Path) -> Path:
    record = read_state(data).server(POSTGRES)
    assert record is not None
    return Path(record.data)


@as_root
def test_no_server_runs_as_root(data: Path) -> None:
    ensure_servers()
    pids = [status.pid for status in server_status()]
    assert all(pid is not None and uid_of(pid) != 0 for pid in pids)


@as_root
def test_under_a_private_folder_the_files_lie_outside_it_and_survive_a_restart(data: Path) -> None:
    data.parent.chmod(0o700)
    ensure_servers()
    folder = postgres_folder(data)
    assert not folder.is_relative_to(data)
    assert (data / "server-files").read_text().strip() == str(folder.parent)
    assert stat.S_IMODE(data.parent.stat().st_mode) == 0o700
    stop_servers()
    ensure_servers()
    assert postgres_folder(data) == folder


@as_root
def test_a_removed_data_folder_means_an_empty_database(data: Path, said: list[str]) -> None:
    data.parent.chmod(0o700)
    ensure_servers()
    folder = postgres_folder(data)
    (folder / "left-behind").touch()
    stop_servers()
    shutil.rmtree(data)
    ensure_servers(say=said.append)
    assert not (postgres_folder(data) / "left-behind").exists()
    assert "dropping the database" in said[0]


@as_root
def test_removing_the_data_folder_under_a_running_server_leaves_no_second_one(data: Path) -> None:
    data.parent.chmod(0o700)
    ensure_servers()
    record = read_state(data).server(POSTGRES)
    assert record is not None
    shutil.rmtree(data)
    ensure_servers(say=lambda text: None)
    assert not record.process.alive()


def test_stores_whose_owner_cannot_be_read_are_let_be(tmp_path: Path) -> None:
    """Another user's are closed to us; here a folder stands where the note should be, which even root cannot read."""
    others, orphaned = tmp_path / "others", tmp_path / "orphaned"
    (others / OWNER_FILE).mkdir(parents=True)
    orphaned.mkdir()
    (orphaned / OWNER_FILE).write_text("/tmp/voxanne-gone-for-good/data\n", encoding="utf-8")
    drop_orphans(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["others"]


@as_root
def test_in_a_folder_open_to_all_the_files_lie_in_the_data_folder() -> None:
    place = Path("/var/tmp") / f"voxanne-test-{os.getpid()}"
    with own_data_folder(place):
        try:
            ensure_servers()
            assert postgres_folder(place) == place / "postgres"
        finally:
            stop_servers()
            shutil.rmtree(place)


@as_root
def test_programs_in_a_private_folder_are_copied_to_where_the_account_can_run_them(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    found = find_postgres()
    if not found.bundle:
        pytest.skip("this PostgreSQL is the system's, which everybody can run")
    package, libraries = found.bundle
    private = tmp_path / "site-packages" / package.parent.name
    shutil.copytree(package, private / package.name, symlinks=True)
    shutil.copytree(libraries, private.with_name(libraries.name))
    hidden = type(found)(
        private / package.name / "bin",
        found.version,
        (private / package.name, private.with_name(libraries.name)),
    )
    monkeypatch.setattr("voxanne.runtime.store.bundle_name", lambda: f"{bundle_name()}-test")
    store = open_store(data, lambda text: None)
    reachable = reachable_postgres(store, hidden)
    copy = next(place for place in SHARED_PLACES if (place / f"{bundle_name()}-test").exists())
    try:
        assert reachable.directory.is_relative_to(copy)
        assert store.account is not None
        run = store.popen([reachable.tool("postgres"), "--version"], output=os.open(os.devnull, os.O_WRONLY))
        assert run.wait(10) == 0
    finally:
        shutil.rmtree(copy / f"{bundle_name()}-test")


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RuntimeFault, match="VOXANNE_DATA_DIR"):
        open_store(tmp_path / "file" / "data", lambda text: None)
