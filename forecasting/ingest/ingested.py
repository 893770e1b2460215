"""What reading prices gives: the rows, what was noticed, who was refused, and how each file was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from forecasting.errors import InputError
from forecasting.findings import Finding
from forecasting.ingest.table import Decided

__all__ = ["Ingested", "InputFile", "Refusal"]


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
