"""The results of the tutorial preset, for its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TutorialReport"]


@dataclass(frozen=True, slots=True)
class TutorialReport:
    """The results of the tutorial preset; errors are in the price's own unit, except where said otherwise.

    Attributes
    ----------
    ticker
        The ticker.
    losses
        Epoch to training loss (mean squared error, scaled), as printed every 1,000 epochs.
    truth
        The test targets, in time order.
    predictions
        Epoch to the predictions of these targets.
    mae_scaled, mae_price
        Mean absolute test error, as the tutorial's scaled number and as a price.
    mae_price_without_leak
        The same with the scalers fitted on training rows only.
    persistence_two_ahead, persistence_one_ahead
        Mean absolute error of repeating the last Open: two sessions ahead, as the tutorial's windows really forecast,
        and one.
    """

    ticker: str
    losses: Mapping[int, float]
    truth: NDArray[np.float64]
    predictions: Mapping[int, NDArray[np.float64]]
    mae_scaled: float
    mae_price: float
    mae_price_without_leak: float
    persistence_two_ahead: float
    persistence_one_ahead: float
