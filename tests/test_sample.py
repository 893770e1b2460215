"""The sample is what data/README.md says it is, and so are the panels made from it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import panels
import pytest

DATA = Path(__file__).resolve().parents[1] / "data"
PRICES = ["Open", "High", "Low", "Close"]


@pytest.fixture(scope="module")
def sample() -> pd.DataFrame:
    return pd.read_csv(DATA / "stocks.csv.gz", parse_dates=["Date"])


def of(sample: pd.DataFrame, ticker: str) -> pd.DataFrame:
    return sample[sample["Ticker"] == ticker].set_index("Date")


def test_it_is_the_file_that_the_readme_names_and_is_small():
    digest = hashlib.sha256((DATA / "stocks.csv.gz").read_bytes()).hexdigest()
    assert digest in (DATA / "README.md").read_text()
    assert (DATA / "stocks.csv.gz").stat().st_size < 1_500_000


def test_the_readmes_table_of_tickers(sample):
    for ticker, rows in sample.groupby("Ticker"):
        line = f"| {ticker} | {len(rows):,} | {rows['Date'].min():%Y-%m-%d} | {rows['Date'].max():%Y-%m-%d} |"
        assert line in (DATA / "README.md").read_text()


def test_no_row_is_wrong(sample):
    assert sample.notna().all(axis=None)
    assert not sample.duplicated(["Ticker", "Date"]).any()
    assert (sample[PRICES] > 0).all(axis=None)
    assert (sample["Low"] <= sample[PRICES].min(axis=1)).all()
    assert (sample["High"] >= sample[PRICES].max(axis=1)).all()


def test_sessions_are_those_of_the_new_york_exchange(sample):
    calendars = pytest.importorskip("exchange_calendars")
    calendar = calendars.get_calendar("XNYS", start="2000-01-01", end="2013-12-31")
    for _, rows in sample.groupby("Ticker"):
        expected = calendar.sessions_in_range(rows["Date"].iloc[0], rows["Date"].iloc[-1])
        assert rows["Date"].tolist() == expected.tolist()


@pytest.mark.parametrize(("ticker", "first", "ratio"), panels.SPLITS)
def test_splits(sample, ticker, first, ratio):
    rows = of(sample, ticker)
    jump = rows["Close"].shift()[first] / rows["Open"][first]
    assert jump == pytest.approx(ratio, rel=0.03)
    basis = rows["Adj Close"] / rows["Close"]
    assert basis[first] / basis.shift()[first] == pytest.approx(ratio, rel=1e-4)


def test_falls_and_rises_that_are_not_splits(sample):
    for ticker, day, change in [
        ("AAPL", "2000-09-29", -0.47),
        ("FB", "2012-10-24", 0.24),
        ("GOOG", "2008-04-18", 0.19),
    ]:
        rows = of(sample, ticker)
        assert rows["Open"][day] / rows["Close"].shift()[day] - 1 == pytest.approx(change, abs=0.005)
        basis = rows["Adj Close"] / rows["Close"]
        assert basis[day] == pytest.approx(basis.shift()[day], rel=1e-4)


def test_the_repeated_row(sample):
    aapl = of(sample, "AAPL")
    repeated = sample[PRICES].eq(sample[PRICES].shift()).all(axis=1)
    assert sample.loc[repeated, ["Ticker", "Date"]].to_numpy().tolist() == [["AAPL", pd.Timestamp("2003-01-29")]]
    assert aapl["Volume"]["2003-01-29"] != aapl["Volume"]["2003-01-28"]


def test_the_special_dividend_is_a_step_in_adj_close_alone(sample):
    msft = of(sample, "MSFT")
    basis = msft["Adj Close"] / msft["Close"]
    assert basis["2004-11-15"] / basis.shift()["2004-11-15"] == pytest.approx(1 / (1 - 3 / 29.97), rel=0.005)
    assert msft["Open"]["2004-11-15"] / msft["Close"].shift()["2004-11-15"] > 0.9


@pytest.mark.parametrize("make", [panels.slices, lambda: panels.resampled(tickers=20, rows=300)])
def test_panels_are_clean_end_with_the_sample_and_are_the_same_each_time(make, sample):
    panel = make()
    assert tuple(panel) == panels.COLUMNS
    prices = panel[["open", "high", "low", "close"]]
    assert (panel["low"] <= prices.min(axis=1)).all()
    assert (panel["high"] >= prices.max(axis=1)).all()
    assert (prices > 0).all(axis=None)
    assert panel.groupby("ticker")["date"].agg(["count", "min", "max"]).drop_duplicates().shape[0] == 1
    assert panel["date"].max() == sample["Date"].max()
    pd.testing.assert_frame_equal(panel, make())


def test_no_split_is_left_in_the_panels():
    for panel in (panels.slices(), panels.resampled(tickers=100, rows=1250)):
        change = panel["open"] / panel.groupby("ticker")["close"].shift()
        halved = np.abs(change - 0.5) < 0.015
        assert not halved.any()


def test_held_out_parts_of_slices_do_not_overlap():
    for rows in (1200, 1250):
        held_out = [piece[-int(0.3 * rows) :] for piece in _origins(rows)]
        days = [day for piece in held_out for day in piece]
        assert len(days) == len(set(days))


def _origins(rows: int) -> list[list[tuple[str, float, float, float]]]:
    # What tells a day from every other, whatever date a slice gives it.
    panel = panels.slices(rows)
    columns = ["open", "high", "low", "close", "volume"]
    return [list(map(tuple, piece[columns].to_numpy())) for _, piece in panel.groupby("ticker")]
