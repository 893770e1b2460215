"""Panels of prices made from the sample, the same on every machine: what the benchmarks and long tests run on.

Two kinds. `slices` cuts the sample's own histories into pieces of equal length whose held-out parts do not overlap:
real prices, for accuracy. `resampled` strings together blocks of real days into any number of made-up tickers: real
ranges and clustered volatility, for speed and size. Both stand on one split basis throughout, so that no split is in
them, and both end on the sample's last session.

    python tests/benchmarks/panels.py resampled --tickers 500 --rows 1250 --out panel.csv
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["COLUMNS", "SAMPLE", "SPLITS", "read_sample", "resampled", "slices"]

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "stocks.csv.gz"

COLUMNS = ("ticker", "date", "open", "high", "low", "close", "volume")

SPLITS = (("AAPL", "2000-06-21", 2), ("AAPL", "2005-02-28", 2), ("MSFT", "2003-02-18", 2))
"""The sample's splits: ticker, first session on the new basis, new shares for an old one."""

_PRICES = ["open", "high", "low", "close"]
_DECIMALS = 4


def read_sample() -> pd.DataFrame:
    """Read the sample as one long frame on the split basis of its last session.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, sorted by ticker and date; no split left in it.
    """
    frame = pd.read_csv(SAMPLE, parse_dates=["Date"]).rename(columns=str.lower)[list(COLUMNS)]
    factor = pd.Series(1.0, index=frame.index)
    for ticker, first, ratio in SPLITS:
        earlier = (frame["ticker"] == ticker) & (frame["date"] < first)
        factor = factor.mask(earlier, factor * ratio)
    prices = frame[_PRICES].div(factor, axis=0).round(_DECIMALS)
    return frame.assign(**prices, volume=frame["volume"] * factor)


def slices(rows: int = 1200) -> pd.DataFrame:
    """Cut each ticker of the sample into as few pieces of `rows` sessions as cover it.

    Pieces of one ticker overlap when its length is no multiple of `rows`, but their last 30 % do not. Each is dated
    with the sample's last `rows` sessions, so that they can be forecast as of one day. FB is too short for one.

    Parameters
    ----------
    rows
        Sessions in a piece.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`; tickers are named AAPL1, AAPL2 and so on, oldest piece first.
    """
    sample = read_sample()
    dates = _last_sessions(sample, rows)
    pieces = []
    for ticker, history in sample.groupby("ticker"):
        if len(history) < rows:
            continue
        count = -(-len(history) // rows)
        starts = np.linspace(0, len(history) - rows, count).round().astype(int)
        for number, start in enumerate(starts, start=1):
            piece = history.iloc[start : start + rows]
            pieces.append(piece.assign(ticker=f"{ticker}{number}", date=dates))
    return pd.concat(pieces, ignore_index=True)


def resampled(tickers: int = 500, rows: int = 1250, seed: int = 0, block: int = 125) -> pd.DataFrame:
    """Make up tickers by a block bootstrap of the sample's days.

    A day is taken whole: its Open over the Close before, its High, Low and Close over its Open, and its volume. So
    ranges, gaps and clusters of volatility are those of real days; only the order of blocks is made up.

    Parameters
    ----------
    tickers, rows
        Size of the panel; the tickers are named T000, T001 and so on.
    seed
        Seed of the draw.
    block
        Consecutive days taken together.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, `tickers` times `rows` rows, sorted by ticker and date.
    """
    sample = read_sample()
    dates = _last_sessions(sample, rows)
    days = pd.concat(
        history.assign(gap=np.log(history["open"] / history["close"].shift())).iloc[1:]
        for _, history in sample.groupby("ticker")
    ).reset_index(drop=True)
    # A block must not run from one ticker's end into the next one's beginning.
    inside = days["ticker"].eq(days["ticker"].shift(1 - block)).to_numpy().nonzero()[0]
    random = np.random.default_rng(seed)
    first = random.choice(inside, size=(tickers, -(-rows // block)))
    picked = (first[:, :, None] + np.arange(block)).reshape(tickers, -1)[:, :rows]

    gap = days["gap"].to_numpy()[picked]
    body = np.log(days["close"] / days["open"]).to_numpy()[picked]
    start = random.uniform(np.log(20.0), np.log(200.0), size=(tickers, 1))
    # Open after k days: every gap up to and including its own, every body before it.
    opens = np.exp(start + np.cumsum(gap, axis=1) + np.cumsum(body, axis=1) - body)
    values = {name: opens * (days[name] / days["open"]).to_numpy()[picked] for name in _PRICES}
    width = max(3, len(str(tickers - 1)))
    return pd.DataFrame(
        {
            "ticker": np.repeat([f"T{number:0{width}d}" for number in range(tickers)], rows),
            "date": np.tile(dates, tickers),
            **{name: value.round(_DECIMALS).ravel() for name, value in values.items()},
            "volume": days["volume"].to_numpy()[picked].round().ravel(),
        }
    )


def _last_sessions(sample: pd.DataFrame, rows: int) -> np.ndarray:
    # The sample's longest histories have every session of the New York exchange, so they are the calendar.
    sessions = np.sort(sample["date"].unique())
    if rows > len(sessions):
        raise ValueError(f"the sample has {len(sessions)} sessions, {rows} asked for")
    return sessions[-rows:]


def main() -> None:
    """Write one of the panels as CSV."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("kind", choices=["slices", "resampled"])
    parser.add_argument("--tickers", type=int, default=500, help="of the resampled panel (default: 500)")
    parser.add_argument("--rows", type=int, help="sessions a ticker (default: 1200 slices, 1250 resampled)")
    parser.add_argument("--seed", type=int, default=0, help="of the resampled panel (default: 0)")
    parser.add_argument("--out", type=Path, required=True, help="file to write, .csv or .csv.gz")
    given = parser.parse_args()
    if given.kind == "slices":
        panel = slices(given.rows or 1200)
    else:
        panel = resampled(given.tickers, given.rows or 1250, given.seed)
    panel.to_csv(given.out, index=False)


if __name__ == "__main__":
    main()
