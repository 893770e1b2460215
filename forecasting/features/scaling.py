"""Scalers, fitted for all tickers at once, on the rows that they may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from forecasting.arrays import Array

__all__ = ["Scaler", "fit_scaler"]


@dataclass(frozen=True, slots=True)
class Scaler:
    """The offset and the range of each ticker's features, to subtract and to divide by: ``(tickers, 1, features)``."""

    offset: Array
    range: Array

    def take(self, places: list[int]) -> Scaler:
        """Choose some of the tickers."""
        return Scaler(self.offset[places], self.range[places])

    def scale(self, values: Array) -> Array:
        """Bring ``(tickers, time, features)`` from its own unit to scaled units."""
        return (values - self.offset) / self.range

    def unscale(self, scaled: Array) -> Array:
        """Bring ``(tickers, time, features)`` back to its own unit."""
        return scaled * self.range + self.offset

    def unscale_errors(self, scaled: Array) -> Array:
        """Bring scaled errors to the feature's unit, by the range alone.

        An error is a difference, in which the offset has cancelled; the inverse transform would wrongly add it.
        """
        return scaled * self.range


def fit_scaler(values: Array, seen: NDArray[np.bool_], kind: Literal["standard", "minmax"] = "standard") -> Scaler:
    """Fit one scaler per ticker and feature, in one call for all of them.

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
        A constant feature gets the range 1, so that it is scaled to zeros and back without loss; a feature without any
        value gets the offset 0, too.
    """
    tickers, time, features = values.shape
    # scikit-learn scales columns, without NaN: each feature of each ticker becomes a column.
    columns = np.where(seen[:, :, None], values, np.nan).transpose(1, 0, 2).reshape(time, tickers * features)
    # A ticker without any row to learn from is not scaled.
    columns = np.where(np.isnan(columns).all(axis=0), 0.0, columns)
    if kind == "minmax":
        minmax = MinMaxScaler().fit(columns)
        offset, spread = minmax.data_min_, minmax.data_range_
    else:
        standard = StandardScaler().fit(columns)
        offset, spread = standard.mean_, standard.scale_
    spread = np.where((spread > 0) & np.isfinite(spread), spread, 1.0)
    shape = (tickers, 1, features)
    return Scaler(offset.reshape(shape), spread.reshape(shape))
