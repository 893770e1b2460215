"""The commands that look after a store, as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from forecasting.__main__ import main


def test_prune_says_what_it_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty store loses nothing, and the count says so."""
    assert main(["prune", str(tmp_path), "--dry-run"]) == 0
    assert "0 files would be removed" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["prune", "nowhere"], ["verify", "nowhere", "--as-of", "2024-01-02"]])
def test_a_store_that_is_not_there_is_said(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One plain message and status 2."""
    assert main(command) == 2
    assert "there is no store here" in capsys.readouterr().err


def test_a_number_below_one_is_refused(tmp_path: Path) -> None:
    """The newest date keeps its files."""
    assert main(["prune", str(tmp_path), "--keep-runs", "0"]) == 2
