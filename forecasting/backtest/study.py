"""Rolling-origin backtest: what every model would have forecast after each of many past sessions.

The origins are the newest sessions whose targets are known. Models are fitted again at regular intervals, by the same
walk as a daily run as of that date. A forecast from an origin follows only from rows up to the origin: prices are cut
there first. The actuals are added afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa

from forecasting.arrays import Array
from forecasting.backtest.rolling import FORECAST_FIELDS, forecast_block, up_to
from forecasting.config import QUANTILE_COLUMNS, ForecastConfig
from forecasting.errors import InputError
from forecasting.evaluation.scoring_rules import mase_scale
from forecasting.features.history import History, histories
from forecasting.features.series import engineer
from forecasting.features.splits import adjustment
from forecasting.features.windows import shard_count
from forecasting.formatting import pluralize
from forecasting.model.training_loop import UNWATCHED, Watch
from forecasting.schemas import WHEN, versioned

__all__ = ["BACKTEST", "Judged", "Part", "Study", "deal", "forecast_part", "judge", "never_forecast", "origin_dates"]

TASKS = 32
"""Approximate number of parts of a backtest; the division follows from the study, never from the machine."""

BACKTEST = versioned(
    "backtest",
    {
        **WHEN,
        "fitted": pa.date32(),
        "chosen": pa.bool_(),
        "actual": pa.float64(),
        **dict.fromkeys(("forecast", *QUANTILE_COLUMNS), pa.float32()),
    },
)
"""forecasts.parquet of a backtest: every model's forecast from every origin, with the actual.

``fitted`` is the last session that the weights have seen, ``chosen`` whether a daily run would have published it. A
step is one of the ticker's own sessions.
"""


@dataclass(frozen=True, slots=True)
class Study:
    """The design of a backtest.

    Attributes
    ----------
    origins
        Number of origins: the newest sessions whose targets are all known.
    refit_every
        Sessions from one fit of the models to the next.
    window
        How many of the last rows a fit sees (a sliding window); all up to its origin when None (an expanding one).
    """

    origins: int = 60
    refit_every: int = 20
    window: int | None = None

    def __str__(self) -> str:
        seen = "all rows before" if self.window is None else f"the last {self.window:,} rows"
        often = "at each" if self.refit_every == 1 else f"every {self.refit_every:,} sessions"
        return f"{pluralize(self.origins, 'origin')}, fitted again {often} on {seen}"


@dataclass(frozen=True)
class Part:
    """A part of a backtest that can be computed by itself.

    Attributes
    ----------
    prices
        All rows of its tickers, as `forecasting.ingest.prices.read_prices` gives them.
    blocks
        Its origins, ascending; those of one block share one fit, made at the first of them.
    """

    prices: pd.DataFrame
    blocks: tuple[tuple[date, ...], ...]

    @property
    def fits(self) -> int:
        """How many times a ticker is fitted, over all tickers."""
        return int(self.prices["ticker"].nunique()) * len(self.blocks)


@dataclass(frozen=True)
class Judged:
    """Forecasts with their actuals.

    Attributes
    ----------
    rows
        The columns of `BACKTEST`, by ticker, step, cutoff and model; ``ticker`` and ``model`` are categorical.
    across_splits
        Number of forecasts left out because of a split between cutoff and target: the actual is in another unit.
    scales
        Mean absolute one-step change of Open before the first origin, by ticker, in the unit of the last row before it.
    """

    rows: pd.DataFrame
    across_splits: int
    scales: dict[str, float]


def origin_dates(prices: pd.DataFrame, study: Study, config: ForecastConfig) -> tuple[date, ...]:
    """Choose the origins: of all dates that any ticker has, the newest with ``horizon`` more after them.

    Raises
    ------
    InputError
        When there are too few dates for this many origins, or the window is too short for an LSTM.
    """
    before = config.minimum_rows
    if study.window is not None and study.window < before:
        raise InputError(f"no LSTM is fitted on {study.window} rows", setting=f"set --window to {before} or more")
    dates = np.unique(prices["date"].to_numpy().astype("datetime64[D]"))
    possible = len(dates) - config.horizon - before
    if study.origins > possible:
        what = (
            f"{len(dates)} sessions are too few for {study.origins} origins with {before} before them "
            f"and {config.horizon} after them"
        )
        raise InputError(what, setting=f"set --origins to {possible} or less" if possible > 0 else None)
    chosen = dates[-config.horizon - study.origins : -config.horizon]
    return tuple(chosen.astype(object))


def deal(prices: pd.DataFrame, origins: Sequence[date], study: Study, config: ForecastConfig) -> tuple[Part, ...]:
    """Divide a backtest into parts: shards of tickers as in a daily run, times series of blocks."""
    rows = prices.groupby("ticker", sort=True).size()
    names = sorted(rows.index, key=lambda name: (-rows[name], name))
    shards = np.array_split(np.array(names, dtype=object), shard_count(len(names), config))
    blocks = [tuple(origins[k : k + study.refit_every]) for k in range(0, len(origins), study.refit_every)]
    runs = np.array_split(np.arange(len(blocks)), min(len(blocks), -(-TASKS // len(shards))))
    return tuple(
        Part(own, tuple(blocks[k] for k in run))
        for own in (prices[prices["ticker"].isin(list(shard))] for shard in shards)
        for run in runs
    )


def forecast_part(
    part: Part,
    study: Study,
    config: ForecastConfig,
    watch: Watch = UNWATCHED,
) -> pa.Table:
    """Forecast from every origin of a part with every model.

    Parameters
    ----------
    part
        The part.
    study
        Gives the window.
    config
        The configuration of every fit, as in a daily run.
    watch
        When it reports that the time is over, the remaining blocks have only forecasts of the baselines.

    Returns
    -------
    pyarrow.Table
        `forecasting.backtest.rolling.FORECAST_FIELDS`.

    Raises
    ------
    TrainingStoppedError
        When the watch stops the training.
    """
    tables = [FORECAST_FIELDS.empty_table()]
    for block in part.blocks:
        history = _seen(part.prices, block, study.window)
        tables += forecast_block(history, block, config, watch)
    return pa.concat_tables(tables)


def _seen(prices: pd.DataFrame, block: Sequence[date], window: int | None) -> pd.DataFrame:
    """Cut out the rows that a block's origins may see: from the start of the fit's window to the last origin."""
    seen = up_to(prices, block[-1])
    if window is None:
        return seen
    starts = up_to(seen, block[0]).groupby("ticker").tail(window).groupby("ticker")["date"].first()
    # A ticker that begins after the fit is not in the block: its comparison is False.
    return seen[seen["date"] >= seen["ticker"].map(starts)]


def judge(forecasts: pa.Table, prices: pd.DataFrame) -> Judged:
    """Add the actuals to the forecasts, in the unit of the cutoff's own row.

    Parameters
    ----------
    forecasts
        The tables of all parts together: `forecasting.backtest.rolling.FORECAST_FIELDS`.
    prices
        All rows, including those after the origins.

    Raises
    ------
    InputError
        When there is no forecast with a known target.
    """
    rows: pd.DataFrame = forecasts.to_pandas(date_as_object=False, categories=["ticker", "model"])
    names = {name: sorted(rows[name].cat.categories) for name in ("ticker", "model")}
    rows = rows.assign(**{name: rows[name].cat.reorder_categories(order) for name, order in names.items()})
    by_ticker = {history.ticker: history for history in histories(prices)}
    first = rows["cutoff"].min().to_datetime64()
    kept, crossed, scales = [], 0, {}
    for ticker, own in rows.groupby("ticker", sort=True, observed=True):
        history = by_ticker[str(ticker)]
        known, split = _with_actual(own, history)
        kept.append(known)
        crossed += split
        before = int(np.searchsorted(history.dates, first, side="right"))
        scales[str(ticker)] = mase_scale(history.open[:before] * _factor(history, before))
    judged = pd.concat(kept, ignore_index=True) if kept else rows
    if judged.empty:
        raise InputError("no ticker could be forecast from any origin", setting="see daily-forecast check")
    ordered = judged.sort_values(["ticker", "step", "cutoff", "model"], kind="stable", ignore_index=True)
    return Judged(ordered[BACKTEST.names], crossed, scales)


def _with_actual(rows: pd.DataFrame, history: History) -> tuple[pd.DataFrame, int]:
    """Give one ticker's forecasts with known targets, with the actuals; and how many had a split before the target."""
    factor = _factor(history, len(history))
    cutoff = history.row_of(rows["cutoff"].to_numpy().astype(history.dates.dtype))
    target = cutoff + rows["step"].to_numpy()
    come = target < len(history)
    target = np.minimum(target, len(history) - 1)
    whole = factor[cutoff] == factor[target]
    dates = history.dates[target].astype("datetime64[s]")
    known = rows.assign(target_date=dates, actual=history.open[target], forecast=rows["q50"])
    return known[come & whole], int((come & ~whole).sum())


def never_forecast(
    prices: pd.DataFrame, judged: Judged, last: date, config: ForecastConfig
) -> tuple[tuple[str, str], ...]:
    """Name the tickers without any forecast, with the reason as far as it is known at the last origin."""
    left = prices[~prices["ticker"].isin(list(judged.scales))]
    known = up_to(left, last)
    reasons = {one.ticker: one.message for one in engineer(known, config, last).withheld} if len(known) else {}
    return tuple(
        (str(ticker), reasons.get(str(ticker), f"{ticker}: no origin with enough rows and a known target"))
        for ticker in sorted(left["ticker"].unique())
    )


def _factor(history: History, rows: int) -> Array:
    """Return the factors that bring the first rows of a ticker to the basis of the last of them."""
    return adjustment(rows, history.splits(rows - 1))
