"""Reading prices: what comes back, and the options that settle what a file leaves open."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest
from price_lines import HEADER, lines, write, write_long

from forecasting.errors import InputError
from forecasting.ingest.prices import read_prices


def test_frame_is_long_sorted_typed_and_unique(tmp_path: Path) -> None:
    write_long(tmp_path / "long.csv", {"ZZZ": lines(9), "AAA": lines(12)[::-1]})

    prices = read_prices(tmp_path / "long.csv").prices

    assert list(prices.columns) == ["ticker", "date", "open", "high", "low", "close", "volume"]
    assert prices["ticker"].dtype == "str"
    assert prices["date"].dtype == "datetime64[s]"
    assert all(prices[name].dtype == "float64" for name in ("open", "high", "low", "close", "volume"))
    assert prices["ticker"].tolist() == ["AAA"] * 12 + ["ZZZ"] * 9
    assert not prices.duplicated(["ticker", "date"]).any()
    assert prices.groupby("ticker")["date"].is_monotonic_increasing.all()


def test_inputs_carry_the_hash_of_the_file_as_it_lies_there(tmp_path: Path) -> None:
    packed = tmp_path / "abc.csv.gz"
    packed.write_bytes(gzip.compress("\n".join([HEADER, *lines()]).encode()))

    (read,) = read_prices(packed).inputs

    assert read.path == str(packed)
    assert read.sha256 == hashlib.sha256(packed.read_bytes()).hexdigest()
    assert read.bytes == packed.stat().st_size


def test_missing_close_and_volume_are_nan(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [line.rsplit(",", 2)[0] for line in lines()], "Date,Open,High,Low")
    assert read_prices(path).prices[["close", "volume"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("name", "ticker"),
    [("BRK.B.csv", "BRK.B"), ("BRK.B.csv.gz", "BRK.B"), ("^GSPC.csv", "^GSPC"), ("abc.CSV", "abc"), ("x.y", "x.y")],
)
def test_ticker_is_the_files_name_where_no_column_says_it(tmp_path: Path, name: str, ticker: str) -> None:
    path = tmp_path / name
    content = "\n".join([HEADER, *lines()]).encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert set(read_prices(path).prices["ticker"]) == {ticker}


@pytest.mark.parametrize("name", ["ticker", "Symbol", "NAME", "<TICKER>"])
def test_ticker_column_is_found_in_any_case(tmp_path: Path, name: str) -> None:
    path = write_long(tmp_path / "long.csv", {"A": lines(), "NA": lines(), "null": lines(), "007": lines()}, name)
    assert set(read_prices(path).prices["ticker"]) == {"A", "NA", "null", "007"}


def test_ticker_column_counts_before_symbol_before_name(tmp_path: Path) -> None:
    rows = [f"Some Company,SYM,{line}" for line in lines()]
    path = write(tmp_path / "a.csv", rows, f"Name,Symbol,{HEADER}")
    assert set(read_prices(path).prices["ticker"]) == {"SYM"}


def test_undecidable_day_and_month_name_the_option_that_settles_them(tmp_path: Path) -> None:
    rows = [f"0{day}/01/2024,{100 + day},{101 + day},{99 + day},{100 + day},5" for day in (2, 3, 4, 5, 8, 9)]
    path = write(tmp_path / "a.csv", rows)
    with pytest.raises(InputError, match="--date-order dmy or mdy"):
        read_prices(path)
    assert str(read_prices(path, date_order="dmy").prices["date"].iloc[-1].date()) == "2024-01-09"
    assert str(read_prices(path, date_order="mdy").prices["date"].iloc[-1].date()) == "2024-09-01"


def test_undecidable_decimal_mark_names_the_option_that_settles_it(tmp_path: Path) -> None:
    rows = [f"{line.split(',')[0]};27.{100 + at};27.{200 + at};27.{50 + at:03d}" for at, line in enumerate(lines())]
    path = write(tmp_path / "a.csv", rows, "Date;Open;High;Low")
    with pytest.raises(InputError, match="--decimal point or comma"):
        read_prices(path)
    assert read_prices(path, decimal="point").prices["open"].iloc[0] == 27.1
    assert read_prices(path, decimal="comma").prices["open"].iloc[0] == 27100.0


def test_order_of_days_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    rows = [f"{at:02d}/12/2023,100,101,99,100,5" for at in range(1, 29)]
    with pytest.raises(InputError, match="not a date"):
        read_prices(write(tmp_path / "a.csv", rows), date_order="mdy")
