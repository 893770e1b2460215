"""Forecast from a series of origins with the weights of one fit, each origin with what was known on its day.

A block of origins shares the fit that is made at its first origin. Weights, scalers and the choice of model stay until
the next fit; calibration follows every target that arrives. Several origins share a computation only where, except for
new rows, the same is known of every ticker at each of them: whether its Close is usable, and its splits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import chain

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.config import QUANTILE_COLUMNS, ForecastConfig, Reason
from forecasting.evaluation.candidates import Candidate, Choice, choose, first_judged, make_candidates
from forecasting.features.series import TickerSeries, engineer
from forecasting.features.windows import Windows, group, window
from forecasting.model.inference import lstm_quantiles
from forecasting.model.training import Trained, train
from forecasting.model.training_loop import UNWATCHED, TrainingStoppedError, Watch

__all__ = ["FORECAST_FIELDS", "forecast_block", "up_to"]

FORECAST_FIELDS = pa.schema(
    [
        ("ticker", pa.string()),
        ("cutoff", pa.date32()),
        ("step", pa.int32()),
        ("model", pa.string()),
        ("fitted", pa.date32()),
        ("chosen", pa.bool_()),
        *((name, pa.float32()) for name in QUANTILE_COLUMNS),
    ]
)
"""Columns that are known at the origin; ``fitted`` and ``chosen`` as in `forecasting.backtest.study.BACKTEST`."""


@dataclass(frozen=True)
class _Fit:
    """Weights, with the windows and the day of their fit."""

    windows: Windows
    trained: Trained
    on: date

    @property
    def places(self) -> Mapping[str, int]:
        """Position of each ticker on the first axis."""
        return {one.ticker: k for k, one in enumerate(self.windows.series)}


def forecast_block(
    history: pd.DataFrame,
    block: Sequence[date],
    config: ForecastConfig,
    watch: Watch = UNWATCHED,
) -> Iterator[pa.Table]:
    """Forecast from each origin of a block with models fitted at its first.

    Parameters
    ----------
    history
        Rows of a shard's tickers from where the fit's window starts.
    block
        The origins, ascending. A ticker without a row on one's date is not forecast from there.
    config
        The configuration, as in a daily run.
    watch
        Gets the training's progress, and decides whether it continues; also called before each computation.

    Yields
    ------
    pyarrow.Table
        `FORECAST_FIELDS`; prices are in the unit of the cutoff's own row.

    Raises
    ------
    TrainingStoppedError
        When the watch stops the training.
    """
    first = engineer(up_to(history, block[0]), config, block[0]).series
    series = tuple(chain.from_iterable(group(first, config)))
    if not series:
        return
    windows = window(series, config)
    trained = train(windows, config, watch)
    fit = _Fit(windows, trained, block[0])
    for own, origins in _alike(history, fit, block, config):
        if watch.stop():
            raise TrainingStoppedError
        if own:
            yield _forecast(fit, own, origins, config)


def up_to(prices: pd.DataFrame, day: date) -> pd.DataFrame:
    """Cut prices off after a day."""
    return prices[prices["date"] <= pd.Timestamp(day)]


def _alike(
    history: pd.DataFrame, fit: _Fit, block: Sequence[date], config: ForecastConfig
) -> Iterator[tuple[tuple[TickerSeries, ...], list[date]]]:
    """Split a block into groups of origins at which the same is known of every ticker, with the last one's series."""
    latest, run = fit.windows.series, [block[0]]
    for day in block[1:]:
        there = {one.ticker: one for one in engineer(up_to(history, day), config, day).series}
        now = tuple(there[one.ticker] for one in fit.windows.series if one.ticker in there)
        if [_basis(one) for one in now] != [_basis(one) for one in latest]:
            yield latest, run
            run = []
        latest = now
        run.append(day)
    yield latest, run


def _basis(series: TickerSeries) -> tuple[object, ...]:
    return series.ticker, series.anchor, series.splits, series.close is None


def _forecast(fit: _Fit, series: Sequence[TickerSeries], origins: Sequence[date], config: ForecastConfig) -> pa.Table:
    """Forecast from origins with weights fitted at the first of them, or before."""
    windows, trained = _carried(fit, series, config)
    fitted_at = windows.first + np.array([fit.windows.series[fit.places[one.ticker]].rows - 1 for one in series])
    start = min(first_judged(windows), max(int(fitted_at.min()), windows.context))
    # Since the fit, every forecast uses the weights of all rows.
    models = make_candidates(windows, lstm_quantiles(windows, trained, config, start, fitted_at), start)
    choices = choose(windows, models, trained.skip_reasons, config, start)
    asked = np.isin(_dates(windows), np.array(origins, dtype="datetime64[D]"))
    asked[:, :start] = False
    return _table(windows, models, choices, asked, fit.on)


def _carried(fit: _Fit, series: Sequence[TickerSeries], config: ForecastConfig) -> tuple[Windows, Trained]:
    """Make the windows of today's rows, with the split, the scalers and the weights of the day of the fit."""
    windows = window(series, config)
    own = [fit.places[one.ticker] for one in series]
    moved = windows.first - fit.windows.first[own]
    carried = replace(
        windows,
        validation_start=fit.windows.validation_start[own] + moved,
        test_start=fit.windows.test_start[own] + moved,
    )
    turned = {
        one.ticker: Reason.ANCHOR_CHANGED
        for k, one in zip(own, series, strict=True)
        if one.anchor != fit.windows.series[k].anchor
    }
    fits = {segment: fitted.take(own) for segment, fitted in fit.trained.fits.items()}
    return carried, Trained(fits, {**fit.trained.skip_reasons, **turned}, ())


def _dates(windows: Windows) -> NDArray[np.datetime64]:
    """Dates ``(tickers, time)`` of the positions; NaT before a ticker's first row."""
    out = np.full((len(windows.series), windows.time), np.datetime64("NaT", "D"))
    for line, one in zip(out, windows.series, strict=True):
        line[windows.time - one.rows :] = one.dates
    return out


def _table(
    windows: Windows,
    models: Sequence[Candidate],
    choices: Sequence[Sequence[Choice]],
    asked: NDArray[np.bool_],
    fitted: date,
) -> pa.Table:
    """Make the table of every model's forecasts from the marked positions ``(tickers, time)``, in their own units."""
    ticker, at = np.nonzero(asked)
    row = at - windows.first[ticker]
    factor = np.array([windows.series[k].factor[r] for k, r in zip(ticker, row, strict=True)])
    cutoff = np.array([windows.series[k].dates[r] for k, r in zip(ticker, row, strict=True)], dtype="datetime64[D]")
    names = [one.model for one in models]
    published = np.array([[names.index(choice.model) for choice in line] for line in choices])[ticker]
    from_end = at - windows.time  # the forecasts begin later than the rows, but end with them
    log_price = [one.origin[ticker, from_end, None, None] + one.change[ticker, from_end] for one in models]
    # Shape (models, cutoffs, horizon, 19); the exponential's rounding must not make quantiles cross.
    price = np.maximum.accumulate(np.exp(log_price), axis=3) / factor[:, None, None]
    known = np.isfinite(price).all(axis=3)
    model, cut, step = np.nonzero(known)
    quantiles = price[known].astype(np.float32)
    return pa.table(
        {
            "ticker": pa.array([one.ticker for one in windows.series], pa.string()).take(pa.array(ticker[cut])),
            "cutoff": pa.array(cutoff[cut]),
            "step": pa.array((step + 1).astype(np.int32)),
            "model": pa.array(names, pa.string()).take(pa.array(model)),
            "fitted": pa.array(np.full(len(cut), np.datetime64(fitted, "D"))),
            "chosen": pa.array(published[cut, step] == model),
            **{name: pa.array(quantiles[:, level]) for level, name in enumerate(QUANTILE_COLUMNS)},
        },
        schema=FORECAST_FIELDS,
    )
