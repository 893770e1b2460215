"""Fingerprints of a ticker's rows, which show later whether its history was changed, and from which row on.

A SHA-256 identifies all rows together. In addition, each row has sixteen bits of the CRC of all rows up to it: from the
first row that differs between two histories these sums differ, too, so that the row is found without keeping the
prices (two bytes per row).
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from typing import Annotated, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from forecasting.features.history import History, histories

__all__ = ["Fingerprint", "RowChange", "describe_rows", "first_change"]

_ROW = np.dtype("V48")
"""A day number and five prices."""


class Fingerprint(BaseModel):
    """The fingerprint of a ticker's parsed rows up to the as-of date.

    Attributes
    ----------
    rows, first_date, last_date
        How many rows, and their span; dates are None without rows.
    sha256
        SHA-256 of all rows, each as its day number (int64) and open, high, low, close, volume (float64), little-endian;
        every NaN is the same NaN and -0.0 is 0.0.
    trail
        Base64 of two bytes per row: the lower half of the CRC-32 of all rows up to it, little-endian.
    """

    model_config = ConfigDict(frozen=True)

    rows: Annotated[int, Field(ge=0)]
    first_date: date | None
    last_date: date | None
    sha256: str
    trail: str

    @model_validator(mode="after")
    def _trail_is_of_all_rows(self) -> Self:
        if len(base64.b64decode(self.trail, validate=True)) != 2 * self.rows:
            raise ValueError("the trail does not have two bytes per row")
        return self


@dataclass(frozen=True, slots=True)
class RowChange:
    """Where a ticker's rows differ from those that a manifest describes.

    Attributes
    ----------
    row
        Number of the first row that differs, counted from 1 among the ticker's rows by date; None when it is not known.
    date
        That row's date in the present rows; None when they end before it.
    message
        What differs, as one plain clause.
    """

    row: int | None
    date: date | None
    message: str


def describe_rows(prices: pd.DataFrame) -> dict[str, Fingerprint]:
    """Return each ticker's fingerprint; `prices` as `read_prices` gives them."""
    return {history.ticker: _describe(history) for history in histories(prices)}


def first_change(known: Fingerprint, history: History) -> RowChange | None:
    """Return where a ticker's rows differ from those of a manifest, or None when they are the same.

    It is the first row that differs, or, with a probability of 1 in 65,536, the row after it.
    """
    found = _describe(history)
    if found.sha256 == known.sha256:
        return None
    before, now = (np.frombuffer(base64.b64decode(rows.trail), dtype="<u2") for rows in (known, found))
    common = min(len(before), len(now))
    parting = np.flatnonzero(before[:common] != now[:common])
    index = int(parting[0]) if len(parting) else common
    if index < len(now):
        day = history.dates[index].item()
        what = "is new" if index >= len(before) else "is the first that differs"
        return RowChange(index + 1, day, f"row {index + 1} ({day}) {what}")
    if index < len(before):
        return RowChange(index + 1, None, f"rows are missing from row {index + 1} on (there were {len(before)})")
    return RowChange(None, None, "rows differ")


def _describe(history: History) -> Fingerprint:
    data = _row_bytes(history)
    return Fingerprint(
        rows=len(history),
        first_date=history.dates[0].item(),
        last_date=history.dates[-1].item(),
        sha256=hashlib.sha256(data).hexdigest(),
        trail=base64.b64encode(_trail(data)).decode("ascii"),
    )


def _row_bytes(history: History) -> bytes:
    columns = (history.open, history.high, history.low, history.close, history.volume)
    values = np.column_stack(columns) + 0.0  # -0.0 becomes 0.0
    values[np.isnan(values)] = np.nan
    days = history.dates.astype("<i8").reshape(-1, 1)
    return np.hstack([days, values.astype("<f8").view("<i8")]).tobytes()


def _trail(data: bytes) -> bytes:
    sums = accumulate(np.frombuffer(data, dtype=_ROW).tolist(), _extend, initial=0)
    return (np.fromiter(sums, dtype=np.uint32)[1:] & 0xFFFF).astype("<u2").tobytes()


def _extend(crc: int, row: bytes) -> int:
    return zlib.crc32(row, crc)
