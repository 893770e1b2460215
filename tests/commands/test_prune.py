"""The commands that look after a store, as they are typed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from forecasting.__main__ import main
from forecasting.store import paths
from forecasting.store.store import Store


def _publish(store: Path) -> None:
    """One date, as far as pruning looks."""
    file = store / paths.forecasts(date(2024, 6, 28))
    file.parent.mkdir(parents=True)
    file.touch()


def test_prune_says_what_it_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store of one date loses nothing, and the count says so."""
    _publish(tmp_path)
    assert main(["prune", str(tmp_path), "--dry-run"]) == 0
    assert "0 files would be removed" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["prune", "nowhere"], ["verify", "nowhere", "--as-of", "2024-01-02"]])
def test_a_store_that_is_not_there_is_said(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One plain message and status 2."""
    assert main(command) == 2
    assert "there is no store here" in capsys.readouterr().err


def test_a_folder_that_is_not_a_store_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is done there."""
    assert main(["prune", str(tmp_path)]) == 2
    assert "nothing is published here" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_store_in_use_is_said_without_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One plain line and status 1."""
    store = Store(tmp_path)
    _publish(tmp_path)
    with store.locked():
        assert main(["prune", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "in use by another run" in said
    assert said.count("\n") == 1


def test_a_number_below_one_is_refused(tmp_path: Path) -> None:
    """The newest date keeps its files."""
    _publish(tmp_path)
    assert main(["prune", str(tmp_path), "--keep-runs", "0"]) == 2
