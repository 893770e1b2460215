"""Calibration over held-out rows: what is counted, and how the counts of tickers add up."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.config import LEVELS, QUANTILE_COLUMNS
from forecasting.evaluation.heldout_summary import Calibration


def counted(actual: list[float] | np.ndarray, steps: int = 1) -> Calibration:
    """Over forecasts whose quantiles are the levels themselves, on the same actuals at each step."""
    every = np.tile(np.asarray(actual, dtype=float), steps)
    quantiles = dict(zip(QUANTILE_COLUMNS, np.tile(LEVELS, (len(every), 1)).T, strict=True))
    return Calibration.of({"step": np.repeat(np.arange(1, steps + 1), len(actual)), "actual": every, **quantiles})


def test_a_calibrated_forecasters_shares_are_the_levels():
    shares = counted((np.arange(1000) + 0.5) / 1000, steps=2).shares
    assert list(shares) == [1, 2]
    assert shares[1] == pytest.approx(LEVELS)
    assert shares[2] == pytest.approx(LEVELS)


def test_an_actual_on_a_quantile_counts_as_at_or_below_it():
    assert counted([0.5]).shares[1].tolist() == [float(level >= 0.5) for level in LEVELS]


def test_rows_without_an_actual_are_left_out():
    found = counted([0.5, np.nan, 0.5, np.nan])
    assert found.rows == {1: 2}
    assert found.shares[1][9] == 1.0


def test_tickers_are_counted_together_but_their_sessions_are_not_added():
    together = Calibration()
    for amount in (10, 30, 20):
        together.add(counted(np.full(amount, 0.5)))
    assert (together.rows, together.sessions) == ({1: 60}, 30)
