"""Conformal calibration: shift and stretch what is published until its quantiles cover what they say.

Each ticker, model and step has one factor on the distances of its quantiles from their median, and one shift of them
all in units of the forecast's own spread. Both start from nothing on the first validation row and move after every
target that becomes known: wider when the central intervals that were issued missed more often than they claim, up
when targets came above the quantiles more often than they should. This is online conformal prediction (Gibbs and
Candes 2021) on location and log width, with decaying steps (Angelopoulos, Barber and Bates 2024): the long-run
coverage is right whatever the data do. A forecast is only ever changed by targets that were known at its cutoff.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from forecasting.config import LEVELS

__all__ = ["Correction", "calibrate", "correct", "no_correction"]

Array = NDArray[np.float64]

WIDTH_RATES = (0.10, 0.03)
"""Step of the log width after the first target, and the least that it decays to as one over the square root of their
number. Both are divided by the square root of the forecast's own step, since targets several sessions ahead overlap."""

SHIFT_RATES = (0.05, 0.01)
"""The same for the shift, divided by the forecast's step."""

LOG_BOUND = 1.5
"""The log width stays within plus and minus this, a factor of about 4.5; the shift within that many spreads."""

MEDIAN = LEVELS.index(0.5)
QUARTILES = (LEVELS.index(0.25), LEVELS.index(0.75))
QUARTILE_DISTANCE = 1.349
"""Distance of the normal distribution's quartiles, in standard deviations."""


class Correction(NamedTuple):
    """What calibration does to a forecast, each ``(tickers, horizon)``: a shift in spreads, and a factor of width."""

    shift: Array
    width: Array


def no_correction(tickers: int, horizon: int) -> Correction:
    """Leave forecasts as they are."""
    return Correction(np.zeros((tickers, horizon)), np.ones((tickers, horizon)))


def correct(quantiles: Array, correction: Correction) -> Array:
    """Apply a correction to quantiles ``(tickers, horizon, 19)`` of one cutoff; their order stays."""
    low, high = QUARTILES
    median = quantiles[..., MEDIAN, None]
    spread = (quantiles[..., high, None] - quantiles[..., low, None]) / QUARTILE_DISTANCE
    return median + correction.shift[..., None] * spread + correction.width[..., None] * (quantiles - median)


def calibrate(quantiles: Array, actual: Array) -> tuple[Array, Correction]:
    """Calibrate forecasts in the order of their cutoffs, each by earlier targets alone.

    Parameters
    ----------
    quantiles
        ``(tickers, cutoffs, horizon, 19)``, one cutoff a session, as a model gives them.
    actual
        ``(tickers, cutoffs, horizon)``: what came, on the same scale; NaN where it is not known (yet).

    Returns
    -------
    tuple[Array, Correction]
        As ``quantiles``, each cutoff corrected by what was known then; and the correction of the last one.
    """
    cutoffs, horizon = quantiles.shape[1], quantiles.shape[2]
    claimed = np.array([high - low for low, high in zip(LEVELS[:MEDIAN], reversed(LEVELS), strict=False)])
    shift, log_width = np.zeros((2, quantiles.shape[0], horizon))
    seen = np.zeros_like(shift)
    out = np.empty_like(quantiles)
    for now in range(cutoffs):
        for step in range(1, min(now, horizon) + 1):
            # The target of the forecast issued ``step`` sessions ago has just become known.
            issued, came = out[:, now - step, step - 1], actual[:, now - step, step - 1, None]
            known = np.isfinite(came[:, 0]) & np.isfinite(issued[:, 0])
            inside = (came >= issued[:, :MEDIAN]) & (came <= issued[:, :MEDIAN:-1])
            above = np.array(LEVELS) - (came <= issued)
            seen[:, step - 1] += known
            decay = known / np.sqrt(np.maximum(seen[:, step - 1], 1))
            wider = np.maximum(WIDTH_RATES[0] * decay, WIDTH_RATES[1] * known) / np.sqrt(step)
            upwards = np.maximum(SHIFT_RATES[0] * decay, SHIFT_RATES[1] * known) / step
            log_width[:, step - 1] += wider * (claimed - inside).mean(1)
            shift[:, step - 1] += upwards * above.mean(1)
        np.clip(log_width, -LOG_BOUND, LOG_BOUND, out=log_width)
        np.clip(shift, -LOG_BOUND, LOG_BOUND, out=shift)
        out[:, now] = correct(quantiles[:, now], Correction(shift, np.exp(log_width)))
    return out, Correction(shift, np.exp(log_width))
