"""The result of reading prices: the rows, what was noticed, which tickers were refused, how each file was read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa

from forecasting.arrays import Array, IntArray
from forecasting.errors import InputError
from forecasting.findings import Finding
from forecasting.ingest.names import PRICES, Role
from forecasting.ingest.table import Decided, Table, error_at

__all__ = ["CheckedRows", "Ingested", "InputFile", "Refusal", "checked_rows", "frame_of", "prices_from_frame"]


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that was read: its path, and the SHA-256 and number of its bytes on the disk."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file, or a ticker of it, that could not be read; ``ticker`` is None when the rows' ticker is not known."""

    ticker: str | None
    file: str
    error: InputError


@dataclass(frozen=True, slots=True)
class Ingested:
    """The prices that were read, and everything to report about them.

    Attributes
    ----------
    prices
        Columns ticker (str), date (datetime64[s]), open, high, low, close, volume (float64; close and volume are NaN
        where the file has none), in the price's own unit, as the file has them. Sorted by ticker and date, unique.
    findings
        What was set aside and what looks odd.
    refused
        The files and tickers that could not be read, and why.
    inputs
        The files.
    decided
        How each file was read, by its path.
    files
        Each ticker's file; where files of single days were read as one table, their folder.
    """

    prices: pd.DataFrame
    findings: tuple[Finding, ...]
    refused: tuple[Refusal, ...]
    inputs: tuple[InputFile, ...]
    decided: Mapping[str, Decided] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def last_day(self) -> date:
        """The newest date of all rows."""
        newest: date = self.prices["date"].max().date()
        return newest


@dataclass(frozen=True, slots=True)
class CheckedRows:
    """One ticker's rows of one file, checked and by day, and what makes an error at its last date."""

    file: str
    days: IntArray
    prices: Mapping[Role, Array]
    error: Callable[..., InputError]


def checked_rows(table: Table, file: str) -> Iterator[tuple[str, CheckedRows]]:
    """Cut a checked table, which is sorted, into its tickers; the prices are views of the table's."""
    for start, stop in pairwise(table.edges.tolist()):
        if stop > start:
            error = partial(error_at, [table.lines[stop - 1]], table.files, column=table.names["date"])
            prices = {role: values[start:stop] for role, values in table.prices.items()}
            yield table.tickers[table.codes[start]], CheckedRows(file, table.days[start:stop], prices, error)


def frame_of(rows: dict[str, CheckedRows]) -> pd.DataFrame:
    """Join tickers to one long frame, sorted by ticker and date; takes them out of ``rows`` as it goes."""
    names = sorted(rows)
    ends = np.cumsum([len(rows[name].days) for name in names])
    days = np.empty(ends[-1], dtype="datetime64[s]")
    prices = np.empty((len(PRICES), ends[-1]))
    for name, end in zip(names, ends, strict=True):
        own = rows.pop(name)
        at = slice(end - len(own.days), end)
        days[at] = own.days.astype("datetime64[D]")
        for line, role in zip(prices, PRICES, strict=True):
            line[at] = own.prices[role]
    codes = np.repeat(np.arange(len(names), dtype=np.int32), np.diff(ends, prepend=0))
    ticker = pa.DictionaryArray.from_arrays(codes, pa.array(names, pa.large_string())).dictionary_decode()
    # Each column is contiguous, so that a ticker's prices can be viewed without a copy.
    frame = pd.DataFrame(prices.T, columns=list(PRICES), copy=False)
    frame.insert(0, "ticker", pd.array(ticker, dtype="str"))
    frame.insert(1, "date", days)
    return frame


def prices_from_frame(frame: pd.DataFrame) -> Ingested:
    """Take daily prices from a data frame, as `forecasting.ingest.prices.read_prices` takes them from CSV.

    Parameters
    ----------
    frame
        Columns ticker, date, open, high and low, and close and volume where there are any, in any order of rows. It is
        not changed. Dates are dates or timestamps at midnight without a time zone.

    Raises
    ------
    InputError
        When a column is missing or of another type, a price is not a positive number, High is below Low, or a ticker
        has two rows of one date; it names the row.
    """
    from forecasting.frame_checks import check_prices  # noqa: PLC0415 - slow to import, and not needed for files

    return Ingested(prices=check_prices(frame), findings=(), refused=(), inputs=())
