"""The obvious alternatives, on the same rows as the LSTM: what a forecast must beat to be worth publishing.

Each is an origin (the last Open, or the last Close) and the empirical quantiles of all earlier changes from it,
``ewma_range`` with every change standardised by the exponentially weighted range volatility of its own day.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from forecasting.config import LEVELS
from forecasting.features.windows import Windows

__all__ = ["BASELINES", "Baseline", "baseline_quantiles", "expanding_quantiles", "origin"]

Array = NDArray[np.float64]
Baseline = Literal["persistence", "last_close", "ewma_range"]

BASELINES: tuple[Baseline, ...] = ("persistence", "last_close", "ewma_range")


def origin(windows: Windows, baseline: Baseline) -> Array:
    """Log price ``(tickers, time)`` that a baseline's changes are counted from."""
    return {
        "persistence": windows.log_open,
        "last_close": windows.log_close,
        "ewma_range": windows.log_anchor,
    }[baseline]


def baseline_quantiles(windows: Windows, baseline: Baseline, start: int) -> Array:
    """Quantiles ``(tickers, cutoffs, horizon, 19)`` of the change of log price from a baseline's origin.

    For each cutoff at position ``start`` or later, from those changes alone whose target was known at the cutoff.
    """
    base = origin(windows, baseline)
    spread = np.exp(windows.log_volatility) if baseline == "ewma_range" else np.ones_like(base)
    out = np.full((len(base), windows.time - start, windows.horizon, len(LEVELS)), np.nan)
    for step in range(1, windows.horizon + 1):
        change = np.full_like(base, np.nan)
        # At the position where the target becomes known, not where the forecast was made.
        change[:, step:] = (windows.log_open[:, step:] - base[:, :-step]) / spread[:, :-step]
        out[:, :, step - 1] = expanding_quantiles(change, start) * spread[:, start:, None]
    # A day without its own origin (no usable Close) has no forecast.
    return np.where(np.isfinite(base[:, start:, None, None]), out, np.nan)


def expanding_quantiles(values: Array, start: int) -> Array:
    """Empirical quantiles of all values up to and including each position from ``start`` on.

    Parameters
    ----------
    values
        ``(series, time)``; NaN is left out.
    start
        First position that is asked for.

    Returns
    -------
    Array
        ``(series, time - start, 19)``, by linear interpolation between order statistics (Hyndman and Fan 1996, type
        7); NaN while there are fewer than two values.
    """
    series, time = values.shape
    known = np.where(np.isnan(values), np.inf, values)
    # Each row ascending, infinite at the end; one place more than there can be values.
    ordered = np.hstack([np.sort(known[:, :start], axis=1), np.full((series, time - start + 1), np.inf)])
    shifted = np.empty_like(ordered[:, 1:])
    counts = np.isfinite(known).cumsum(axis=1)
    place = np.array(LEVELS) * np.maximum(counts[:, start:, None] - 1, 0)
    low = place.astype(np.int64)
    out = np.empty((series, time - start, len(LEVELS)))
    for k in range(time - start):
        new = known[:, start + k, None]
        # Inserting v into a sorted s: s'[j] = min(max(v, s[j-1]), s[j]). An infinite v changes nothing.
        np.maximum(ordered[:, :-1], new, out=shifted)
        np.minimum(shifted, ordered[:, 1:], out=ordered[:, 1:])
        np.minimum(ordered[:, :1], new, out=ordered[:, :1])
        below = np.take_along_axis(ordered, low[:, k], axis=1)
        above = np.take_along_axis(ordered, low[:, k] + 1, axis=1)
        weight = place[:, k] - low[:, k]
        with np.errstate(invalid="ignore"):
            # Never above its upper neighbour, by whatever rounding: quantiles must not cross.
            out[:, k] = np.where(weight > 0, np.minimum(below + weight * (above - below), above), below)
    out[counts[:, start:] < 2] = np.nan
    return out
