"""Scalers, fitted for all tickers at once on the rows that they may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from forecasting.arrays import Array

__all__ = ["Scaler", "fit_scaler"]


@dataclass(frozen=True, slots=True)
class Scaler:
    """What is subtracted from, and then divided out of, each ticker's feature; both ``(tickers, 1, features)``."""

    offset: Array
    range: Array

    def scale(self, values: Array) -> Array:
        """Take ``(tickers, time, features)`` from its own unit to scaled units."""
        return (values - self.offset) / self.range

    def unscale(self, scaled: Array) -> Array:
        """Take ``(tickers, time, features)`` back to its own unit."""
        return scaled * self.range + self.offset

    def unscale_errors(self, scaled: Array) -> Array:
        """Turn scaled errors into errors in the feature's unit: by the range alone.

        An error is a difference, in which the offset has cancelled; the inverse transform would add it back.
        """
        return scaled * self.range


def fit_scaler(values: Array, seen: NDArray[np.bool_], kind: Literal["standard", "minmax"] = "standard") -> Scaler:
    """Fit one scaler a ticker and feature, for all of them at once.

    Parameters
    ----------
    values
        ``(tickers, time, features)``; NaN where a ticker has no row.
    seen
        ``(tickers, time)``, True on the rows that the scaler may learn from.
    kind
        ``standard``: mean and standard deviation; ``minmax``: minimum and range.

    Returns
    -------
    Scaler
        A constant feature gets the range 1, so that it is scaled to zeros and back without loss; one without any value
        gets the offset 0, too.
    """
    tickers, time, features = values.shape
    # Every ticker's every feature becomes a column.
    columns = np.where(seen[:, :, None], values, np.nan).transpose(1, 0, 2).reshape(time, tickers * features)
    # A ticker without one row to learn from is left as it is.
    columns = np.where(np.isnan(columns).all(axis=0), 0.0, columns)
    if kind == "minmax":
        offset = np.nanmin(columns, axis=0)
        spread = np.nanmax(columns, axis=0) - offset
    else:
        offset, spread = _standard(columns)
    spread = np.where((spread > 0) & np.isfinite(spread), spread, 1.0)
    shape = (tickers, 1, features)
    return Scaler(offset.reshape(shape), spread.reshape(shape))


def _standard(columns: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of each column, bit for bit as scikit-learn's StandardScaler has them.

    The variance is that of the corrected two-pass algorithm, and zero where its error bound does not tell it from zero
    (Chan, Golub and LeVeque 1983, The American Statistician 37, 242-247).
    """
    count = np.isfinite(columns).sum(axis=0)
    mean = np.nansum(columns, axis=0) / count
    away = columns - mean
    variance = (np.nansum(away**2, axis=0) - np.nansum(away, axis=0) ** 2 / count) / count
    error = np.finfo(np.float64).eps * count
    return mean, np.where(variance <= error * variance + (error * mean) ** 2, 0.0, np.sqrt(np.maximum(variance, 0.0)))
