"""Dense arrays of a shard of tickers, their windows as views, and the chronological split.

Tickers of different lengths are right-aligned: the last column is every ticker's own newest row, and a shorter ticker
has NaN on the left. Position p of ticker i is its row ``p - first[i]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from forecasting.arrays import Array
from forecasting.config import ForecastConfig
from forecasting.features.series import TickerSeries

__all__ = ["RANGE_SPANS", "Segment", "Windows", "group", "shard_count", "window"]

Segment = Literal["train", "validation", "test", "before_test", "all"]

RANGE_FLOOR = 1e-4
"""The smallest High-Low, as a share of Open, and the smallest ln(High/Low) of which the logarithm is taken: a session
without trade has no range."""

RANGE_SPANS = (1, 5, 22)
"""Sessions over which the log range is averaged: a day, a week and a month (Corsi 2009)."""

VARIANCE_FLOOR = 1e-8
"""Smallest variance of a day's log price, for tickers whose High equals Low for weeks."""

DECAY = 0.94
"""Weight of yesterday's variance in today's (RiskMetrics 1996, for daily data)."""


@dataclass(frozen=True)
class Windows:
    """A shard of tickers, ready to train and to judge.

    Attributes
    ----------
    series
        The tickers, in the order of the arrays' first axis.
    inputs
        ``(tickers, time, 2)``: log(Open_t / Open_{t-1}) and log((High-Low)_t / Open_t), unscaled; NaN before the
        first change.
    log_open, log_anchor, log_close
        ``(tickers, time)``: log prices on the last row's basis. ``log_close`` is NaN where there is no usable Close.
    log_volatility
        ``(tickers, time)``: log of the exponentially weighted Parkinson volatility, up to and including that row.
    log_ranges
        ``(tickers, time, 3)``: log of the log range ln(High/Low), and its means over the last 5 and 22 sessions.
    targets
        ``(tickers, time, horizon)``: log(Open_{t+step} / anchor_t), NaN where it is not known.
    same_unit
        ``(tickers, time, horizon)``: False where there is a split between t and t+step.
    first, validation_start, test_start
        ``(tickers,)``: position of each ticker's first row, of its first validation target, of its first test target.
    context
        Sessions in a window.
    """

    series: tuple[TickerSeries, ...]
    inputs: Array
    log_open: Array
    log_anchor: Array
    log_close: Array
    log_volatility: Array
    log_ranges: Array
    targets: Array
    same_unit: NDArray[np.bool_]
    first: NDArray[np.int64]
    validation_start: NDArray[np.int64]
    test_start: NDArray[np.int64]
    context: int

    @property
    def time(self) -> int:
        """Length of the time axis: the longest ticker's rows, or one window and its target where that is more."""
        return int(self.inputs.shape[1])

    @property
    def horizon(self) -> int:
        """Number of steps forecast."""
        return int(self.targets.shape[2])

    @property
    def first_judged(self) -> NDArray[np.int64]:
        """Position ``(tickers,)`` of each ticker's first cutoff that is judged, with a whole window behind it."""
        return np.maximum(self.validation_start - 1, self.first + self.context)

    def views(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Every window of ``(tickers, time, features)`` as a view ``(tickers, time - context + 1, features, context)``.

        Window j ends at position ``j + context - 1``; nothing is copied.
        """
        return sliding_window_view(inputs, self.context, axis=1)

    def rows_seen(self, segment: Segment) -> NDArray[np.bool_]:
        """Rows ``(tickers, time)`` that a scaler may learn from when a model is fitted on the segment."""
        position = np.arange(self.time)[None, :]
        return (position > self.first[:, None]) & (position < self._end(segment)[:, None])

    def pairs(self, segment: Segment) -> NDArray[np.bool_]:
        """Mark the (cutoff, step) pairs ``(tickers, time, horizon)`` of a segment.

        A pair belongs to it when everything from the session after the cutoff to the target lies inside; one that
        crosses a boundary belongs to neither side. Pairs without a known target, or without a whole window before
        the cutoff, belong to none.
        """
        cutoff = np.arange(self.time)[None, :, None]
        target = cutoff + np.arange(1, self.horizon + 1)[None, None, :]
        start = {"validation": self.validation_start, "test": self.test_start}.get(segment, self.first)[:, None, None]
        whole = cutoff >= (self.first + self.context)[:, None, None]
        inside = (cutoff + 1 >= start) & (target < self._end(segment)[:, None, None])
        return inside & whole & np.isfinite(self.targets)

    def _end(self, segment: Segment) -> NDArray[np.int64]:
        ends = {"train": self.validation_start, "validation": self.test_start, "before_test": self.test_start}
        return ends.get(segment, np.full_like(self.first, self.time))


def group(series: Sequence[TickerSeries], config: ForecastConfig) -> list[tuple[TickerSeries, ...]]:
    """Deal the tickers into shards of similar length (`shard_count`).

    The grouping follows from the tickers and the configuration alone, never from the machine, so that a run gives the
    same bytes whatever the number of workers.
    """
    ordered = sorted(series, key=lambda one: (-one.rows, one.ticker))
    count = shard_count(len(ordered), config)
    return [tuple(ordered[k] for k in part) for part in np.array_split(np.arange(len(ordered)), count)] if count else []


def shard_count(tickers: int, config: ForecastConfig) -> int:
    """Return the number of shards for this number of tickers: a multiple of ``config.shards``, none of them empty."""
    needed = -(-tickers // config.shard_tickers)
    return min(tickers, -(-needed // config.shards) * config.shards)


def window(series: Sequence[TickerSeries], config: ForecastConfig) -> Windows:
    """Put a shard's tickers into dense arrays, and split each chronologically.

    Parameters
    ----------
    series
        The shard's tickers.
    config
        Gives the context, the horizon and the shares of test and validation.
    """
    rows = np.array([one.rows for one in series])
    time = max(int(rows.max()), config.context + 1)  # one window and its target, even where no ticker has as many

    def dense(columns: Sequence[Array]) -> Array:
        out = np.full((len(columns), time), np.nan)
        for line, column in zip(out, columns, strict=True):
            line[time - len(column) :] = column
        return out

    factor = dense([one.factor for one in series])
    log_open = np.log(dense([one.open for one in series]) * factor)
    closes = [np.full(one.rows, np.nan) if one.close is None else one.close for one in series]
    log_close = np.log(dense(closes) * factor)
    log_anchor = np.log(dense([one.anchor_price for one in series]) * factor)
    spread = dense([np.maximum(one.range / one.open, RANGE_FLOOR) for one in series])
    change = np.diff(log_open, axis=1, prepend=np.nan)
    inputs = np.stack([change, np.where(np.isnan(change), np.nan, np.log(spread))], axis=2)
    targets = np.stack([_ahead(log_open, step) - log_anchor for step in range(1, config.horizon + 1)], axis=2)
    same_unit = np.stack([_ahead(factor, step) == factor for step in range(1, config.horizon + 1)], axis=2)
    # Shares are of targets: every row but the first is a target.
    test = np.floor(config.test_share * (rows - 1)).astype(np.int64)
    validation = np.floor(config.validation_share * (rows - 1 - test)).astype(np.int64)
    return Windows(
        series=tuple(series),
        inputs=inputs,
        log_open=log_open,
        log_anchor=log_anchor,
        log_close=log_close,
        log_volatility=_log_volatility(dense([one.variance for one in series])),
        log_ranges=_log_ranges(dense([one.log_range for one in series])),
        targets=targets,
        same_unit=same_unit,
        first=time - rows,
        validation_start=time - test - validation,
        test_start=time - test,
        context=config.context,
    )


def _ahead(values: Array, step: int) -> Array:
    """Values of ``step`` positions later, NaN where there are none."""
    out = np.full_like(values, np.nan)
    out[:, :-step] = values[:, step:]
    return out


def _log_ranges(log_range: Array) -> Array:
    """Log of the log range, and its means over the last sessions (`RANGE_SPANS`, or fewer where there are fewer)."""
    daily = np.log(np.maximum(log_range, RANGE_FLOOR))
    padded = np.pad(daily, [(0, 0), (max(RANGE_SPANS) - 1, 0)], constant_values=np.nan)
    out = np.full((*daily.shape, len(RANGE_SPANS)), np.nan)
    for k, span in enumerate(RANGE_SPANS):
        latest = sliding_window_view(padded, span, axis=1)[:, -daily.shape[1] :]
        counts = np.isfinite(latest).sum(axis=2)
        out[:, :, k] = np.nansum(latest, axis=2) / np.where(np.isnan(daily), np.nan, counts)
    return out


def _log_volatility(variance: Array) -> Array:
    """Half the log of the exponentially weighted variance (RiskMetrics 1996), each ticker from its own first row."""
    smooth = np.empty_like(variance)
    now = np.full(len(variance), np.nan)
    for position, today in enumerate(np.maximum(variance, VARIANCE_FLOOR).T):
        now = np.where(np.isnan(now), today, DECAY * now + (1 - DECAY) * today)
        smooth[:, position] = now
    half: Array = 0.5 * np.log(smooth)
    return half
