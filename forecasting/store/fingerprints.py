"""What identifies a ticker's rows, so that a later reader sees whether history was restated, and from where.

All rows are held by a SHA-256 and, row by row, by sixteen bits of the CRC of all rows so far: where two histories part,
these sums part with them, so that the first changed row is found without keeping the prices (two bytes a row).
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

__all__ = ["RowChange", "TickerRows", "describe_rows", "first_change", "rows_sha256"]

_COLUMNS = ("open", "high", "low", "close", "volume")
_ROW_BYTES = 8 * (1 + len(_COLUMNS))


class TickerRows(BaseModel):
    """What identifies a ticker's parsed rows up to the as-of date.

    Attributes
    ----------
    rows, first_date, last_date
        How many rows, and their span; dates are None without rows.
    sha256
        SHA-256 of all rows (`rows_sha256`).
    trail
        Base64 of two bytes a row: the CRC-32 of all rows so far, its lower half, little-endian.
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
            raise ValueError("the trail is not of as many rows")
        return self


@dataclass(frozen=True, slots=True)
class RowChange:
    """Where a ticker's rows depart from those that a manifest describes.

    Attributes
    ----------
    row
        Number of the first row that differs, counted from 1 among the ticker's rows by date; None when it is not known.
    date
        That row's date in the rows at hand; None when they end before it.
    message
        What differs, as one plain clause.
    """

    row: int | None
    date: date | None
    message: str


def rows_sha256(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of one ticker's parsed rows.

    Parameters
    ----------
    frame
        Columns date, open, high, low, close, volume, by date. Each row counts as its day number (int64) and five
        float64, little-endian; every NaN is the same NaN and -0.0 is 0.0.
    """
    return hashlib.sha256(_row_bytes(frame)).hexdigest()


def describe_rows(prices: pd.DataFrame) -> dict[str, TickerRows]:
    """Return what identifies each ticker's rows; `prices` as `read_prices` gives them."""
    return {str(ticker): _describe(frame) for ticker, frame in prices.groupby("ticker", sort=True, observed=True)}


def first_change(known: TickerRows, frame: pd.DataFrame) -> RowChange | None:
    """Return where a ticker's rows depart from those of a manifest, or None when they are the same.

    The row is the first one that differs, but for one chance in 65,536 that it is the one after.
    """
    found = _describe(frame)
    if found.sha256 == known.sha256:
        return None
    before, now = (np.frombuffer(base64.b64decode(rows.trail), dtype="<u2") for rows in (known, found))
    common = min(len(before), len(now))
    parting = np.flatnonzero(before[:common] != now[:common])
    index = int(parting[0]) if len(parting) else common
    if index < len(now):
        day = pd.Timestamp(frame["date"].iloc[index]).date()
        what = "is new" if index >= len(before) else "is the first that differs"
        return RowChange(index + 1, day, f"row {index + 1} ({day}) {what}")
    if index < len(before):
        return RowChange(index + 1, None, f"rows are missing from row {index + 1} on (there were {len(before)})")
    return RowChange(None, None, "rows differ")


def _describe(frame: pd.DataFrame) -> TickerRows:
    data = _row_bytes(frame)
    days = frame["date"]
    return TickerRows(
        rows=len(frame),
        first_date=pd.Timestamp(days.iloc[0]).date() if len(frame) else None,
        last_date=pd.Timestamp(days.iloc[-1]).date() if len(frame) else None,
        sha256=hashlib.sha256(data).hexdigest(),
        trail=base64.b64encode(_trail(data)).decode("ascii"),
    )


def _row_bytes(frame: pd.DataFrame) -> bytes:
    values = frame.loc[:, list(_COLUMNS)].to_numpy(dtype="<f8", na_value=np.nan) + 0.0  # -0.0 becomes 0.0
    values[np.isnan(values)] = np.nan
    days = frame["date"].to_numpy(dtype="datetime64[D]").astype("<i8").reshape(-1, 1)
    return np.hstack([days, np.ascontiguousarray(values).view("<i8")]).tobytes()


def _trail(data: bytes) -> bytes:
    view = memoryview(data)
    rows = (view[start : start + _ROW_BYTES] for start in range(0, len(data), _ROW_BYTES))
    sums = accumulate(rows, _extend, initial=0)
    return (np.fromiter(sums, dtype=np.uint32)[1:] & 0xFFFF).astype("<u2").tobytes()


def _extend(crc: int, row: memoryview) -> int:
    return zlib.crc32(row, crc)
