from __future__ import annotations

import sys
from pathlib import Path

import pytest

from voxanne.runtime import install


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose virtual environment is this test run's Python."""
    (tmp_path / "requirements-dev.txt").write_text("django==5.2 \\\n    --hash=sha256:0\npytest==9\n")
    monkeypatch.setattr(install, "REQUIREMENTS", tmp_path / "requirements-dev.txt")
    monkeypatch.setattr(install, "ENVIRONMENT", tmp_path)
    monkeypatch.setattr(install, "STAMP", tmp_path / ".installed")
    monkeypatch.setattr(install, "PYTHON", Path(sys.executable))
    return tmp_path


def test_packages_are_installed_once_and_again_only_when_they_changed(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = iter([0, 0])
    monkeypatch.setattr(install, "install", lambda: next(codes))
    for _ in range(2):
        assert install.main() == 0
    assert next(codes, None) == 0, "the second time nothing was to do"
    (checkout / "requirements-dev.txt").write_text("django==5.3\n")
    with pytest.raises(StopIteration):
        install.main()


def test_a_failed_installation_is_tried_again(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "install", lambda: 1)
    assert install.main() == 1
    assert not (checkout / ".installed").exists()


def test_progress_is_counted_in_packages() -> None:
    lines = ["Collecting django==5.2", "  Downloading django.whl", "Collecting pytest==9"]
    assert install.progress(lines, 3) == "2 of 3 fetched"
    assert install.progress([*lines, "Installing collected packages: django"], 3) == "unpacking"
