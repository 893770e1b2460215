"""The whole walk in one process and one call, for those who run it without an orchestrator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pandas as pd

from forecasting.config import ForecastConfig
from forecasting.evaluation.evaluate import Evaluated, evaluate
from forecasting.features.series import TickerSeries, engineer
from forecasting.features.windows import group, window
from forecasting.ingest.latest import shared_day
from forecasting.ingest.prices import Ingested
from forecasting.model.training import Progress, train
from forecasting.publish import Run, collect
from forecasting.schemas import FORECASTS, as_table, parquet_bytes
from forecasting.store.model_card import ModelFile, model_file

__all__ = ["forecast", "forecast_bytes", "forecast_shard"]


def forecast(
    ingested: Ingested,
    config: ForecastConfig | None = None,
    as_of: date | None = None,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Engineer, train and evaluate everything that was read, one shard after the other.

    Parameters
    ----------
    ingested
        The prices, from `read_prices` or `prices_from_frame`.
    config
        What to do; the default preset when None.
    as_of
        The date of the forecasts; the last date that the tickers share when None. Later rows are not used.
    progress
        Called after every epoch.
    stop
        Asked after every epoch: True ends the training.

    Raises
    ------
    InputError
        When not one ticker can be forecast.
    TrainingStoppedError
        When ``stop`` answers True.
    """
    config = config or ForecastConfig()
    as_of = as_of or shared_day(ingested.prices)
    ingested = replace(ingested, prices=ingested.prices[ingested.prices["date"] <= pd.Timestamp(as_of)])
    engineered = engineer(ingested.prices, config, as_of)
    shards = group(engineered.series, config)
    done = [
        forecast_shard(f"shard-{number:02d}", shard, config, progress=progress, stop=stop)
        for number, shard in enumerate(shards)
    ]
    return collect(
        ingested, engineered, [one for one, _ in done], [model for _, model in done], config=config, as_of=as_of
    )


def forecast_shard(
    name: str,
    shard: tuple[TickerSeries, ...],
    config: ForecastConfig,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[Evaluated, ModelFile]:
    """Window, train and evaluate one shard; also gives the file of its weights."""
    windows = window(shard, config)
    trained = train(windows, config, progress=progress, stop=stop)
    evaluated = evaluate(windows, trained, config)
    return evaluated, model_file(name, windows, trained, evaluated, config)


def forecast_bytes(config: ForecastConfig, ingested: Ingested, as_of: date) -> bytes:
    """Give the bytes of forecasts.parquet that a configuration, the rows and a date lead to; nothing is written."""
    run = forecast(ingested, config, as_of)
    return parquet_bytes(as_table(run.forecasts, FORECASTS), FORECASTS)
