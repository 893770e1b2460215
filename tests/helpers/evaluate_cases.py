"""Shards of made tickers, trained briefly and evaluated."""

from __future__ import annotations

import pandas as pd

from forecasting.config import ForecastConfig
from forecasting.evaluation.evaluate import evaluate
from forecasting.features.series import engineer
from forecasting.features.windows import window
from forecasting.model.training import train

PRICES = ["open", "high", "low", "close"]


def config(**changes):
    given = {"epochs": 2, "members": 1, "hidden": 3, "horizon": 3, "context": 5, "calendar": "24/7", "device": "cpu"}
    return ForecastConfig(**{**given, **changes})


def windows_of(frames, asked, as_of="2024-06-28"):
    series = engineer(pd.concat(frames, ignore_index=True), asked, pd.Timestamp(as_of).date()).series
    return window(series, asked)


def evaluated_of(frames, asked=None):
    asked = asked or config()
    windows = windows_of(frames, asked)
    return evaluate(windows, train(windows, asked), asked)


def split_in_half(rows, index):
    """The same history, with twice the price before a split."""
    rows = rows.copy()
    rows.loc[: index - 1, PRICES] *= 2
    return rows
