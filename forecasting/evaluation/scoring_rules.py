"""The scores of a forecast, formula by formula: plain functions of arrays, in the price's own unit."""

from __future__ import annotations

import numpy as np
import scoringrules
from numpy.typing import ArrayLike
from scipy.special import stdtr

from forecasting.arrays import Array
from forecasting.config import LEVELS

__all__ = ["CENTRAL", "crps", "diebold_mariano", "mase", "mase_scale", "pinball"]

CENTRAL = {round(1 - 2 * level, 2): (rank, -1 - rank) for rank, level in enumerate(LEVELS) if level < 0.5}
"""Positions of the two quantiles that bound each central interval."""


def mase_scale(prices: Array) -> float:
    """Mean absolute change from one price to the next, which `mase` divides by; NaN of fewer than two prices.

    Examples
    --------
    >>> mase_scale(np.array([10.0, 12.0, 8.0]))
    3.0
    """
    changes = np.abs(np.diff(prices))
    return float(changes.mean()) if len(changes) else float("nan")


def mase(mean_absolute_error: float, scale: float) -> float:
    """Mean absolute scaled error (Hyndman and Koehler 2006, International Journal of Forecasting 22, 679-688).

    Parameters
    ----------
    mean_absolute_error
        The forecasts' mean absolute error, in the price's unit.
    scale
        Mean absolute one-step change of Open over training rows, in the same unit.

    Returns
    -------
    float
        Below 1 where the forecasts miss by less than an average training session moved; NaN without a positive scale.

    Examples
    --------
    >>> mase(3.0, 2.0)
    1.5
    """
    return mean_absolute_error / scale if scale > 0 else float("nan")


def pinball(actual: ArrayLike, quantile: ArrayLike, level: ArrayLike) -> Array:
    """Pinball (quantile) loss of each forecast (Koenker and Bassett 1978, Econometrica 46, 33-50).

    ``level * (actual - quantile)`` where the actual is above the quantile, ``(1 - level) * (quantile - actual)`` where
    it is below. The three arguments broadcast.

    Examples
    --------
    >>> pinball([12.0, 8.0], [10.0, 10.0], 0.9).round(12).tolist()
    [1.8, 0.2]
    """
    observed, predicted, levels = (np.asarray(values, dtype=np.float64) for values in (actual, quantile, level))
    return np.asarray(scoringrules.quantile_score(observed, predicted, levels, backend="numpy"))


def crps(actual: ArrayLike, quantiles: ArrayLike, levels: ArrayLike = LEVELS) -> Array:
    """Continuous ranked probability score of each forecast, from its quantiles: twice their mean pinball loss.

    (Laio and Tamea 2007, Hydrology and Earth System Sciences 11, 1267-1277; Berrisch and Ziel 2023, Journal of
    Econometrics 237, 105221.)

    Parameters
    ----------
    actual
        Shape (n,).
    quantiles
        Shape (n, levels).
    levels
        Probabilities of the quantiles, shape (levels,).

    Returns
    -------
    numpy.ndarray
        Shape (n,), in the price's unit; for a forecast without spread it is its absolute error.

    Examples
    --------
    >>> crps([12.0], [[10.0, 10.0, 10.0]], [0.25, 0.5, 0.75]).tolist()
    [2.0]
    """
    observed, predicted, known = (np.asarray(values, dtype=np.float64) for values in (actual, quantiles, levels))
    return np.asarray(scoringrules.crps_quantile(observed, predicted, known, backend="numpy"))


def diebold_mariano(loss: ArrayLike, reference: ArrayLike, horizon: int) -> float:
    """Two-sided p-value of the hypothesis that two forecasters have the same mean loss.

    Diebold and Mariano (1995, Journal of Business and Economic Statistics 13, 253-263): the mean loss differential
    over its HAC standard error, whose kernel is rectangular with ``horizon - 1`` lags, the range over which forecasts
    overlap and are correlated. With the small-sample correction of Harvey, Leybourne and Newbold (1997, International
    Journal of Forecasting 13, 281-291): the statistic times ``sqrt((n + 1 - 2 h + h (h - 1) / n) / n)``, compared with
    Student's t with n - 1 degrees of freedom. The rectangular kernel can yield a variance that is not positive; then
    Bartlett's weights are used, which cannot (Newey and West 1987, Econometrica 55, 703-708).

    Parameters
    ----------
    loss, reference
        Losses of both on the same targets, in the order of time, shape (n,).
    horizon
        Steps ahead of the forecasts.

    Returns
    -------
    float
        NaN where no test is possible: identical losses, or at most ``2 * horizon`` of them.

    Examples
    --------
    Differentials 1, 2, 3: mean 2, variance 2/3, so t = 2 / sqrt(2/9) * sqrt(2/3) = 2 sqrt(3) with 2 degrees of freedom.

    >>> round(diebold_mariano([2.0, 4.0, 6.0], [1.0, 2.0, 3.0], horizon=1), 6)
    0.07418
    """
    differential = np.asarray(loss, dtype=np.float64) - np.asarray(reference, dtype=np.float64)
    n = differential.size
    if n <= 2 * horizon or not differential.any():
        return float("nan")
    mean = differential.mean()
    centred = differential - mean
    lags = np.arange(1, horizon)
    covariances = np.array([centred[lag:] @ centred[: n - lag] for lag in range(horizon)]) / n
    variance = covariances[0] + 2 * covariances[1:].sum()
    if variance <= 0:
        variance = covariances[0] + 2 * (1 - lags / horizon) @ covariances[1:]
    if variance <= 0:
        return float("nan")
    correction = (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n
    statistic = mean / np.sqrt(variance / n) * np.sqrt(correction)
    return float(2 * stdtr(n - 1, -abs(statistic)))
