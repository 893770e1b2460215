"""What reading prices gives: the rows, what was noticed, who was refused, and how each file was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa

from forecasting.errors import InputError
from forecasting.findings import Finding
from forecasting.ingest.names import PRICES
from forecasting.ingest.table import Decided, Table

__all__ = ["Ingested", "InputFile", "Refusal", "frame_of"]


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that was read: its path, the SHA-256 of its bytes as they lie on the disk, and their number."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file, or a ticker of it, that could not be read; ``ticker`` is None when it is not known whose the rows are."""

    ticker: str | None
    file: str
    error: InputError


@dataclass(frozen=True, slots=True)
class Ingested:
    """What was read.

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
    """

    prices: pd.DataFrame
    findings: tuple[Finding, ...]
    refused: tuple[Refusal, ...]
    inputs: tuple[InputFile, ...]
    decided: Mapping[str, Decided] = field(default_factory=dict)


def frame_of(tables: Sequence[Table]) -> pd.DataFrame:
    """Join the tables to one long frame, sorted by ticker and date."""
    names = sorted({name for table in tables for name in table.tickers})
    places = {name: place for place, name in enumerate(names)}
    codes = np.concatenate([np.array([places[n] for n in table.tickers])[table.codes] for table in tables])
    days = np.concatenate([table.days for table in tables])
    columns = {role: np.concatenate([table.prices[role] for table in tables]) for role in PRICES}
    if len(tables) > 1 and not np.all(codes[1:] >= codes[:-1]):
        order = np.argsort(codes, kind="stable")
        codes, days = codes[order], days[order]
        columns = {role: values[order] for role, values in columns.items()}
    ticker = pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names, pa.large_string()))
    return pd.DataFrame(
        {
            "ticker": pd.array(ticker.dictionary_decode(), dtype="str"),
            "date": days.astype("datetime64[D]").astype("datetime64[s]"),
            **columns,
        }
    )
