"""Calibration by width: stretch the quantiles around their median until they cover what they claim.

Each ticker and step has one number, the log of the factor on its quantiles' distances from their median. It starts
from zero at the first forecast that is judged, and descends the gradient of the CRPS after every target that becomes
known. With the quantiles q_k of level tau_k as they were issued, their median m, spread s = (q_75 - q_25) / 1.349 and
the target y,

    g = (2 / s) mean_k (1{y <= q_k} - tau_k) (q_k - m),      theta <- 0.99 theta - eta g,

    eta = max(0.1 / sqrt(n), 0.06) / sqrt(step),             width = exp(theta), |theta| <= 1.5,

where n counts the targets known so far and targets several sessions ahead, which overlap, count for less. This is
online gradient descent on the score itself (Zinkevich 2003), in units of the forecast's own spread; the pull towards
zero forgets a regime that is over. A forecast is only ever changed by targets that were known at its cutoff.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.arrays import Array
from forecasting.config import LEVELS, MEDIAN

__all__ = ["calibrating_widths", "spread", "widen"]

KEEP = 0.99
"""What is left of the log width after each target."""

FIRST_RATE, LEAST_RATE = 0.10, 0.06
"""Step after the first target, which decays as one over the square root of their number, and the least of it."""

LOG_BOUND = 1.5
"""The log width stays within plus and minus this, a factor of about 4.5."""

QUARTILES = (LEVELS.index(0.25), LEVELS.index(0.75))
QUARTILE_DISTANCE = 1.349
"""Distance of the normal distribution's quartiles, in standard deviations."""


def spread(quantiles: Array) -> Array:
    """Return the standard deviation that a normal distribution with the quartiles of ``(..., 19)`` would have."""
    low, high = QUARTILES
    distance: Array = quantiles[..., high] - quantiles[..., low]
    return distance / QUARTILE_DISTANCE


def widen(quantiles: Array, width: Array, out: Array | None = None) -> Array:
    """Multiply the distances of quantiles ``(..., 19)`` from their median by a width ``(...)``; their order stays.

    The result is written to ``out``, which may be the quantiles themselves, or to a new array.
    """
    median = quantiles[..., MEDIAN, None].copy()
    out = np.subtract(quantiles, median, out=out)
    out *= width[..., None]
    out += median
    return out


def calibrating_widths(quantiles: Array, actual: Array) -> Array:
    """Return the widths that calibrate forecasts, in the order of their cutoffs, each from earlier targets only.

    Parameters
    ----------
    quantiles
        ``(tickers, cutoffs, horizon, 19)``, one cutoff a session, as a model gives them.
    actual
        ``(tickers, cutoffs, horizon)``: the actuals, on the same scale; NaN where they are not known (yet).

    Returns
    -------
    Array
        ``(tickers, cutoffs, horizon)``: each forecast's width, as it was known at its cutoff.
    """
    tickers, cutoffs, horizon, levels = quantiles.shape
    median, unit = quantiles[..., MEDIAN], spread(quantiles)
    usable = np.isfinite(actual) & np.isfinite(unit) & (unit > 0)
    unit = np.where(usable, unit, 1.0)
    # (cutoffs, tickers, horizon): moved in time to where the target becomes known, in units of the spread.
    known = _when_known(usable)
    miss = _when_known(np.where(usable, (actual - median) / unit, 0.0))
    centre = _when_known(np.where(usable, median, 0.0))
    unit = np.where(known, _when_known(unit), 1.0)
    probability = np.array(LEVELS)
    steps = np.arange(1, horizon + 1)
    rate = np.maximum(FIRST_RATE / np.sqrt(np.maximum(known.cumsum(axis=0), 1)), LEAST_RATE) / np.sqrt(steps)
    rate = 2 / levels * np.where(known, rate, 0.0)
    keep = np.where(known, KEEP, 1.0)
    log_width = np.zeros((cutoffs, tickers, horizon))
    place = steps - 1
    for now in range(1, cutoffs):
        cutoff = np.maximum(now - steps, 0)
        issued = np.exp(log_width[cutoff, :, place]).T
        away = (quantiles[:, cutoff, place] - centre[now, :, :, None]) / unit[now, :, :, None]
        away[~known[now]] = 0.0
        reached = miss[now, :, :, None] <= issued[:, :, None] * away
        gradient = (reached * away).sum(axis=2) - (away * probability).sum(axis=2)
        theta = keep[now] * log_width[now - 1] - rate[now] * gradient
        np.clip(theta, -LOG_BOUND, LOG_BOUND, out=log_width[now])
    return np.exp(log_width).swapaxes(0, 1)


def _when_known(values: NDArray[Any]) -> NDArray[Any]:
    """Move ``(tickers, cutoffs, horizon, ...)`` of each step that many cutoffs later, cutoffs first; zero before."""
    out = np.zeros_like(values.swapaxes(0, 1), order="C")
    cutoffs = len(out)
    for step in range(1, min(values.shape[2], cutoffs - 1) + 1):
        out[step:, :, step - 1] = values[:, : cutoffs - step, step - 1].swapaxes(0, 1)
    return out
