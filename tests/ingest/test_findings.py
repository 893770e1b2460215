"""What is set aside or looks odd is reported with its lines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from price_lines import lines, row, write

from forecasting.errors import InputError
from forecasting.ingest.prices import Ingested, read_prices


def _messages(read: Ingested) -> str:
    return "\n".join(finding.message for finding in read.findings)


def test_identical_rows_are_set_aside_with_their_lines(tmp_path: Path) -> None:
    read = read_prices(write(tmp_path / "a.csv", [*lines(), row(3), row(4)]))
    assert len(read.prices) == 20
    (finding,) = read.findings
    assert (finding.ticker, finding.kind, finding.rows) == ("a", "set_aside", 2)
    assert "lines 22-23" in finding.message


def test_conflicting_rows_of_a_day_are_refused(tmp_path: Path) -> None:
    other = row(3).replace(",103.00,", ",103.01,")
    with pytest.raises(InputError, match=r"lines 5, 22"):
        read_prices(write(tmp_path / "a.csv", [*lines(), other]))


def test_volume_never_refuses(tmp_path: Path) -> None:
    rows = lines()
    rows[4] = rows[4].rsplit(",", 1)[0] + ",lots"
    rows[5] = rows[5].rsplit(",", 1)[0] + ",-5"
    rows[6] = rows[6].rsplit(",", 1)[0] + ","
    rows[7] = rows[7].rsplit(",", 1)[0] + ",inf"
    read = read_prices(write(tmp_path / "a.csv", [*rows, row(3).rsplit(",", 1)[0] + ",7"]))
    assert np.flatnonzero(read.prices["volume"].isna()).tolist() == [3, 4, 5, 6, 7]
    assert {line for line in (5, 6, 7, 9) if str(line) in _messages(read)} == {5, 6, 7, 9}


def test_close_on_another_basis_is_kept_and_reported(tmp_path: Path) -> None:
    rows = [line.rsplit(",", 2)[0] + ",250.0,9" if at < 5 else line for at, line in enumerate(lines())]
    read = read_prices(write(tmp_path / "a.csv", rows))
    assert read.prices["close"].tolist()[:5] == [250.0] * 5
    assert "lines 2-6" in _messages(read)


def test_broken_close_is_taken_as_missing_and_reported(tmp_path: Path) -> None:
    rows = lines()
    for at, close in ((3, "x"), (4, "0"), (5, "inf"), (6, "-1")):
        parts = rows[at].split(",")
        rows[at] = ",".join([*parts[:4], close, parts[5]])
    read = read_prices(write(tmp_path / "a.csv", rows))
    assert np.flatnonzero(read.prices["close"].isna()).tolist() == [3, 4, 5, 6]
    assert "line 5" in _messages(read)


def test_last_row_that_is_a_running_days_snapshot_is_reported(tmp_path: Path) -> None:
    read = read_prices(write(tmp_path / "a.csv", [*lines(), "2024-02-03,100,100,100,100,0"]))
    assert len(read.prices) == 21
    assert "the last row has one price" in _messages(read)
    assert "weekend" in _messages(read)


def test_rare_slips_of_a_long_history_are_set_aside_and_reported(tmp_path: Path) -> None:
    rows = lines(600)
    day, opened, high, low, close, volume = rows[300].split(",")
    rows[300] = f"{day},{opened},{low},{high},{close},{volume}"
    rows[310] = ",".join([rows[310].split(",")[0], "0", "0", "0", "0", "0"])
    read = read_prices(write(tmp_path / "a.csv", rows))
    assert len(read.prices) == 598
    assert [finding.rows for finding in read.findings if finding.kind == "set_aside"] == [1, 1]
    assert "line 302" in _messages(read)
    assert "line 312" in _messages(read)


def test_slips_that_are_not_rare_refuse_the_ticker(tmp_path: Path) -> None:
    rows = lines(600)
    for at in range(0, 600, 50):
        day, opened, high, low, close, volume = rows[at].split(",")
        rows[at] = f"{day},{opened},{low},{high},{close},{volume}"
    with pytest.raises(InputError, match=r"below Low .*lines 2, 52, 102"):
        read_prices(write(tmp_path / "a.csv", rows))


def test_downloads_put_one_after_another_are_read(tmp_path: Path) -> None:
    rows = lines(90)
    read = read_prices(write(tmp_path / "a.csv", [*rows[60:], *rows[30:60], *rows[:30]]))
    assert len(read.prices) == 90
    assert "out of order" in _messages(read)


def test_dates_in_the_future_are_a_log_line_and_no_finding(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [line.replace("2024-", "2099-") for line in lines(3)]
    read = read_prices(write(tmp_path / "a.csv", rows))
    assert read.findings == ()
    assert "future" in caplog.text
