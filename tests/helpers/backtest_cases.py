"""A small backtest, as tests ask for it."""

from __future__ import annotations

import pyarrow as pa

from forecasting.backtest.study import (
    Study,
    deal,
    forecast_part,
    origin_dates,
)
from forecasting.config import QUANTILE_COLUMNS, ForecastConfig

CONFIG = ForecastConfig(epochs=1, members=1, hidden=3, horizon=2)


STUDY = Study(origins=6, refit_every=3)


QUANTILES = list(QUANTILE_COLUMNS)


def run(prices, study=STUDY, config=CONFIG):
    """Every forecast of a study, its quantiles by (ticker, cutoff, step, model)."""
    origins = origin_dates(prices, study, config)
    tables = [forecast_part(part, study, config) for part in deal(prices, origins, study, config)]
    return pa.concat_tables(tables)
