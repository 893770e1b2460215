"""What reading and checking prices costs, beside Arrow's bare reading of the same CSV.

    python tests/benchmarks/bench_ingest.py [--tickers 500] [--rows 1240] [--rounds 9]

One long CSV of seven columns, ticker after ticker, made at random. Both take turns, so that what else the machine does
meets both alike; the table shows medians over the rounds and the ratio of each round. The last line is the same file
with every field in quotation marks.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.csv as pa_csv

from forecasting.ingest.prices import read_prices


def write_prices(path: Path, tickers: int, rows: int) -> None:
    """Write histories on the same weekdays, with cents."""
    random = np.random.default_rng(0)
    days = pd.bdate_range("2019-01-02", periods=rows).strftime("%Y-%m-%d")
    parts = []
    for number in range(tickers):
        close = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.02, rows))), 2) + 1
        opened = np.round(close * np.exp(random.normal(0, 0.01, rows)), 2)
        prices = {
            "ticker": f"T{number:03d}",
            "date": days,
            "open": opened,
            "high": np.round(np.maximum(opened, close) * 1.01, 2),
            "low": np.round(np.minimum(opened, close) * 0.99, 2),
            "close": close,
            "volume": random.integers(100_000, 10_000_000, rows),
        }
        parts.append(pd.DataFrame(prices))
    pd.concat(parts).to_csv(path, index=False)


def seconds(call: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickers", type=int, default=500)
    parser.add_argument("--rows", type=int, default=1240, help="rows of each ticker")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prices.csv"
        write_prices(path, options.tickers, options.rows)
        rounds = [
            (seconds(lambda: pa_csv.read_csv(path)), seconds(lambda: read_prices(path))) for _ in range(options.rounds)
        ]
        quoted = Path(folder) / "quoted.csv"
        lines = path.read_text().splitlines()
        quoted.write_text("\n".join('"' + line.replace(",", '","') + '"' for line in lines) + "\n")
        in_quotes = seconds(lambda: read_prices(quoted))
    arrow, ours = (statistics.median(times) for times in zip(*rounds, strict=True))
    ratio = statistics.median(own / bare for bare, own in rounds)
    print(f"{options.tickers * options.rows:,} rows of {options.tickers} tickers, medians of {options.rounds} rounds")
    print(f"pyarrow.csv.read_csv      {arrow:7.3f} s")
    print(f"read and checked          {ours:7.3f} s    {ratio:.1f} times")
    print(f"in quotation marks, once  {in_quotes:7.3f} s")


if __name__ == "__main__":
    main()
