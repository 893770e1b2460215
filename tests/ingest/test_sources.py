"""Where prices are read from: files, folders and patterns, and whose they are."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest
from price_lines import HEADER, lines, row, write, write_long

from forecasting.errors import InputError
from forecasting.ingest.prices import read_prices


def test_folder_is_its_csvs_alone(tmp_path: Path) -> None:
    write(tmp_path / "b.csv", lines())
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress("\n".join([HEADER, *lines()]).encode()))
    write(tmp_path / ".hidden.csv", ["rubbish"])
    (tmp_path / "README.md").write_text("# Prices\n")
    (tmp_path / "sub.csv").mkdir()

    read = read_prices(tmp_path)

    assert set(read.prices["ticker"]) == {"a", "b"}
    assert [Path(one.path).name for one in read.inputs] == ["a.csv.gz", "b.csv"]
    assert read.refused == ()


def test_glob_and_lists_of_paths(tmp_path: Path) -> None:
    for name in ("a1", "a2", "b1"):
        write(tmp_path / f"{name}.csv", lines())
    assert set(read_prices(str(tmp_path / "a*.csv")).prices["ticker"]) == {"a1", "a2"}
    both = [tmp_path / "b1.csv", str(tmp_path / "a*.csv"), tmp_path / "b1.csv"]
    assert set(read_prices(both).prices["ticker"]) == {"a1", "a2", "b1"}


@pytest.mark.parametrize("source", ["none.csv", "none*.csv", "", [], "a\0b"])
def test_nothing_there_is_an_input_error(
    tmp_path: Path, source: str | list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        read_prices(source)


def test_empty_folder_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(InputError, match="holds no"):
        read_prices(tmp_path)


def test_bad_file_of_a_folder_is_refused_and_the_others_read(tmp_path: Path) -> None:
    write(tmp_path / "good.csv", lines())
    (tmp_path / "bad.csv").write_text("<html>no</html>")

    read = read_prices(tmp_path)

    assert set(read.prices["ticker"]) == {"good"}
    assert [(one.ticker, Path(one.file).name, one.error.line) for one in read.refused] == [("bad", "bad.csv", 1)]
    assert len(read.inputs) == 2


def test_bad_ticker_of_a_long_file_is_refused_and_the_others_read(tmp_path: Path) -> None:
    bad = lines()
    bad[7] = bad[7].replace(",", ",oops", 1)
    path = write_long(tmp_path / "long.csv", {"A": lines(), "B": bad, "C": lines()})

    read = read_prices(path)

    assert set(read.prices["ticker"]) == {"A", "C"}
    ((ticker, error),) = [(one.ticker, one.error) for one in read.refused]
    assert (ticker, error.line, error.column) == ("B", 29, "Open")


@pytest.mark.parametrize(
    "broken", ["2024-01-05,99", "not a date,1,2,0.5,1,9", "2024-01-05,9,8,10,9,1", "2024-01-05,0,0,0,0,0"]
)
def test_one_tickers_broken_row_leaves_the_others_alone(tmp_path: Path, broken: str) -> None:
    alone = read_prices(write_long(tmp_path / "alone.csv", {"A": lines(), "C": lines()}))
    both = read_prices(write_long(tmp_path / "both.csv", {"A": lines(), "B": [*lines(), broken], "C": lines()}))
    assert [one.ticker for one in both.refused] == ["B"]
    pd.testing.assert_frame_equal(both.prices, alone.prices)


def test_nothing_usable_at_all_raises_the_first_reason(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [row(0).replace(",", ",x", 1)])
    (tmp_path / "b.csv").write_text("")
    with pytest.raises(InputError, match=r"a\.csv, line 2, column Open"):
        read_prices(tmp_path)


def test_ticker_in_two_files_is_refused_and_the_others_read(tmp_path: Path) -> None:
    write_long(tmp_path / "1.csv", {"A": lines(), "B": lines()})
    write_long(tmp_path / "2.csv", {"B": lines(), "C": lines()})

    read = read_prices(tmp_path)

    assert set(read.prices["ticker"]) == {"A", "C"}
    assert [one.ticker for one in read.refused] == ["B"]


def test_only_the_tickers_asked_for(tmp_path: Path) -> None:
    path = write_long(tmp_path / "long.csv", {"A": lines(), "B": ["rubbish,1,2,3,4,5"], "C": lines()})
    (tmp_path / "D.csv").write_text("{}")

    read = read_prices(tmp_path, tickers=["A", "X"])

    assert set(read.prices["ticker"]) == {"A"}
    assert [one.ticker for one in read.refused] == ["X"]
    assert read_prices(path, tickers=["C"]).refused == ()
    with pytest.raises(InputError, match="none of the files"):
        read_prices(path, tickers=["X"])


@pytest.mark.parametrize("name", ["", "A\x07B", "x" * 65, "\u202eLPAA"])
def test_names_that_cannot_be_tickers_are_refused(tmp_path: Path, name: str) -> None:
    read = read_prices(write_long(tmp_path / "long.csv", {"A": lines(), name: lines()}))
    assert set(read.prices["ticker"]) == {"A"}
    (refusal,) = read.refused
    assert refusal.error.line == 22
    assert refusal.ticker is None or refusal.ticker.isprintable()


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "CON", "=1+1", "<script>alert(1)</script>", "Ä", "株", "a b", "nan"]
)
def test_odd_names_are_data(tmp_path: Path, name: str) -> None:
    read = read_prices(write_long(tmp_path / "long.csv", {name: lines()}))
    assert set(read.prices["ticker"]) == {name}
