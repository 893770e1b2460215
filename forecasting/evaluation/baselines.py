"""The baselines, on the same rows as the LSTM: what a forecast must beat to be worth publishing.

Each is an origin (the last Open, the last Close, or the ticker's anchor) and the empirical quantiles of all earlier
changes from it. For ``ewma_range`` and ``har`` every change is divided by the scale that was forecast for it:

* ``ewma_range``: the exponentially weighted Parkinson volatility (RiskMetrics 1996), lambda 0.94;
* ``har``: exp(c . f), with f the log of the log range and its means over a week and a month (the heterogeneous
  autoregression of Corsi 2009, Journal of Financial Econometrics 7, 174-196) and c fixed coefficients by anchor and
  step. A quarter of its quantiles is their mirror image, which halves the asymmetry that a few hundred past changes
  show. A constant factor of the scale cancels between the changes' quantiles and today's scale, so that f needs no
  centring.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from forecasting.arrays import Array
from forecasting.config import LEVELS
from forecasting.evaluation.order_statistics import expanding_quantiles
from forecasting.features.windows import Windows
from forecasting.model.prior import har_coefficients

__all__ = [
    "BASELINES",
    "Baseline",
    "baseline_quantiles",
    "change_quantiles",
    "origin",
    "scale",
    "standardised_quantiles",
]

Baseline = Literal["persistence", "last_close", "ewma_range", "har"]

BASELINES: tuple[Baseline, ...] = get_args(Baseline)

MIRROR = 0.25
"""Weight of the mirror image in HAR's quantiles; none and a half were worse on panels and the sample together."""


def origin(windows: Windows, model: str) -> Array:
    """Log price ``(tickers, time)`` that a model's changes are counted from."""
    return {"persistence": windows.log_open, "last_close": windows.log_close}.get(model, windows.log_anchor)


def scale(windows: Windows, baseline: Baseline) -> Array:
    """Forecast scale ``(tickers, time, horizon)`` that a baseline's changes are divided by, up to a factor."""
    shape = (*windows.log_open.shape, windows.horizon)
    if baseline == "ewma_range":
        return np.broadcast_to(np.exp(windows.log_volatility)[:, :, None], shape)
    if baseline == "har":
        scale: Array = np.exp(windows.log_ranges @ har_coefficients(windows).swapaxes(1, 2))
        return scale
    return np.ones(shape)


def standardised_quantiles(windows: Windows, baseline: Baseline, start: int) -> Array:
    """Quantiles ``(tickers, cutoffs, horizon, 19)`` of the changes over their scale, for cutoffs from ``start`` on.

    Each cutoff has only the changes whose target was known at it.
    """
    quantiles = change_quantiles(windows.log_open, origin(windows, baseline), scale(windows, baseline), start)
    return (1 - MIRROR) * quantiles - MIRROR * quantiles[..., ::-1] if baseline == "har" else quantiles


def change_quantiles(log_open: Array, base: Array, spread: Array, start: int) -> Array:
    """Quantiles ``(tickers, cutoffs, horizon, 19)`` of past changes from ``base`` to a later Open, over ``spread``.

    Parameters
    ----------
    log_open, base
        ``(tickers, time)``: log prices; what changes are counted to, and from.
    spread
        ``(tickers, time, horizon)``.
    start
        First cutoff; each has the changes whose target was known at it.
    """
    tickers, time, horizon = spread.shape
    change = np.full((tickers, horizon, time), np.nan)
    for step in range(1, horizon + 1):
        # At the target's position, where the change becomes known, not at that of the forecast.
        change[:, step - 1, step:] = (log_open[:, step:] - base[:, :-step]) / spread[:, :-step, step - 1]
    found = expanding_quantiles(change.reshape(tickers * horizon, time), start)
    return found.reshape(tickers, horizon, -1, len(LEVELS)).swapaxes(1, 2)


def baseline_quantiles(windows: Windows, baseline: Baseline, start: int) -> Array:
    """Quantiles ``(tickers, cutoffs, horizon, 19)`` of the change of log price from a baseline's origin.

    NaN where there are fewer than two earlier changes, and on a day without its own origin (no usable Close).
    """
    quantiles = standardised_quantiles(windows, baseline, start)
    quantiles *= scale(windows, baseline)[:, start:, :, None]
    quantiles[~np.isfinite(origin(windows, baseline)[:, start:])] = np.nan
    return quantiles
