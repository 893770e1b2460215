"""A small backtest, computed once."""

from __future__ import annotations

import pandas as pd
import pytest
from backtest_cases import CONFIG, STUDY, run

from forecasting.backtest.metrics import (
    score_backtest,
)
from forecasting.backtest.page import Backtest
from forecasting.backtest.study import (
    judge,
)


@pytest.fixture(scope="session")
def prices(make_prices):
    return pd.concat([make_prices("AAA", 220, 0), make_prices("BBB", 200, 1)], ignore_index=True)


@pytest.fixture(scope="session")
def forecasts(prices):
    return run(prices)


@pytest.fixture(scope="session")
def judged(forecasts, prices):
    return judge(forecasts, prices)


@pytest.fixture(scope="session")
def backtest(judged, prices):
    as_of = prices["date"].max().date()
    return Backtest(as_of, STUDY, CONFIG, judged, score_backtest(judged.rows, judged.scales))
