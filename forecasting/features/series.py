"""Engineer each ticker's series: Open and High-Low, the anchor that forecasts start from, splits, staleness."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd

from forecasting.arrays import Array
from forecasting.calendars import count_sessions
from forecasting.config import Anchor, ForecastConfig
from forecasting.features.history import Dates, History, histories, usable_close
from forecasting.features.splits import Split, adjustment
from forecasting.findings import Finding

__all__ = ["Engineered", "TickerSeries", "Withheld", "engineer"]

RANGE_WEIGHTS = (0.80, 0.75)
"""Where a session ends, as weights of ln(High/Open) and ln(Open/Low): least squares on real tickers' Closes."""

FEWEST_CHANGES = 10
"""Earlier changes over the longest step that a forecast needs at least."""

PRICE_BOUND = 1e15
"""Prices above this, or below its inverse, are not prices."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """A ticker without any forecast, with the kind of reason and a sentence for the reader."""

    ticker: str
    kind: Literal["too short", "constant", "exploding", "stale", "no usable close"]
    message: str


@dataclass(frozen=True, slots=True)
class TickerSeries:
    """One ticker's own history, oldest first, in the file's units.

    Attributes
    ----------
    dates
        Sessions, ``datetime64[D]``, strictly increasing, shape ``(rows,)`` as all that follow.
    open, high, low
        Prices as they are in the file.
    close
        The Close, NaN on the few rows where it is not usable; None where it is not used at all.
    factor
        ``open * factor`` is on the last row's basis: splits are adjusted.
    anchor
        Which price forecasts start from; a usable Close is kept even when this is the Open.
    stale
        How many of the calendar's sessions the last row is before the as-of date, 0 when up to date.
    """

    ticker: str
    dates: Dates
    open: Array
    high: Array
    low: Array
    close: Array | None
    factor: Array
    splits: tuple[Split, ...] = ()
    anchor: Anchor = "open"
    stale: int = 0

    @property
    def rows(self) -> int:
        """Number of sessions."""
        return len(self.dates)

    @property
    def range(self) -> Array:
        """High-Low of each session, in the price's own unit."""
        return self.high - self.low

    @property
    def variance(self) -> Array:
        """Parkinson's estimate of each session's variance of log prices: ln(H/L)^2 / (4 ln 2) (Parkinson 1980)."""
        variance: Array = self.log_range**2 / (4 * np.log(2))
        return variance

    @property
    def log_range(self) -> Array:
        """ln(High/Low) of each session."""
        log_range: Array = np.log(self.high / self.low)
        return log_range

    @property
    def anchor_price(self) -> Array:
        """The last known price at each session, in the file's unit.

        Estimated from the range, it is the average end of sessions with this High and Low relative to their Open:
        ``log O + 0.80 ln(H/O) - 0.75 ln(O/L)``.
        """
        if self.anchor == "range":
            up, down = RANGE_WEIGHTS
            estimate: Array = self.open * (self.high / self.open) ** up * (self.low / self.open) ** down
            return estimate
        return self.open if self.anchor == "open" or self.close is None else self.close

    @property
    def cutoff(self) -> date:
        """The last session that a forecast sees."""
        return _day(self.dates[-1])


@dataclass(frozen=True, slots=True)
class Engineered:
    """All tickers that can be forecast, those that cannot, and what was noticed."""

    series: tuple[TickerSeries, ...]
    withheld: tuple[Withheld, ...] = ()
    findings: tuple[Finding, ...] = field(default=())


def engineer(prices: pd.DataFrame, config: ForecastConfig, as_of: date) -> Engineered:
    """Make every ticker's series from the validated long frame.

    Parameters
    ----------
    prices
        As `forecasting.ingest.prices.read_prices` returns it: ticker, date, open, high, low, close, volume; sorted.
    config
        Has the anchor, and the limits for stale and short histories.
    as_of
        The run's date, by which a ticker is up to date or stale.

    Returns
    -------
    Engineered
        Each ticker is independent of all others.
    """
    series: list[TickerSeries] = []
    withheld: list[Withheld] = []
    findings: list[Finding] = []
    for history in histories(prices):
        name, last = history.ticker, _day(history.dates[-1])
        lag = count_sessions(config.calendar, last, as_of)
        refusal = _why_not(history, config, lag, as_of)
        if refusal is not None:
            withheld.append(refusal)
            continue
        one, noticed = _engineer_ticker(history, config, lag)
        findings.extend(noticed)
        if one.anchor != "close" and config.anchor == "close":
            withheld.append(Withheld(name, "no usable close", f"{name}: --anchor close, but its Close is not usable"))
        else:
            series.append(one)
    return Engineered(tuple(series), tuple(withheld), tuple(findings))


def _why_not(history: History, config: ForecastConfig, lag: int, as_of: date) -> Withheld | None:
    """Say why a ticker cannot be forecast at all; None when it can."""
    ticker, first, last = history.ticker, history.open[0], history.dates[-1]
    needed = max(config.minimum_history, config.horizon + FEWEST_CHANGES)
    lowest, highest = history.low.min(), history.high.max()
    if lag > config.stale_after:
        what = f"last row {last} is {lag} sessions before {as_of}, more than --stale-after {config.stale_after}"
        return Withheld(ticker, "stale", f"{ticker}: {what}")
    if len(history) < needed:
        what = f"{len(history)} rows, at least {needed} are needed to forecast {config.horizon} sessions"
        return Withheld(ticker, "too short", f"{ticker}: {what}")
    if (history.open == first).all():
        what = f"every Open is {first:g}; a constant has no distribution to forecast"
        return Withheld(ticker, "constant", f"{ticker}: {what}")
    if not 1 / PRICE_BOUND <= lowest <= highest <= PRICE_BOUND:
        what = f"prices from {lowest:g} to {highest:g}, beyond {1 / PRICE_BOUND:g} to {PRICE_BOUND:g}"
        return Withheld(ticker, "exploding", f"{ticker}: {what}")
    return None


def _engineer_ticker(history: History, config: ForecastConfig, lag: int) -> tuple[TickerSeries, list[Finding]]:
    ticker = history.ticker
    splits = history.splits(len(history) - 1)
    findings = [_split_finding(ticker, split) for split in splits]
    usable, complaint = usable_close(history.high, history.low, history.close)
    anchor = _choose_anchor(config, close_is_usable=usable is not None)
    if complaint is not None and config.anchor in ("auto", "close"):
        instead = "the last Open" if anchor == "open" else "where Open, High and Low say that the session ended"
        findings.append(Finding(ticker, "close", f"{ticker}: {complaint}; forecasts start from {instead}"))
    if lag:
        message = f"{ticker}: its last row, {history.dates[-1]}, is {lag} sessions old"
        findings.append(Finding(ticker, "stale", message))
    one = TickerSeries(
        ticker=ticker,
        dates=history.dates,
        open=history.open,
        high=history.high,
        low=history.low,
        close=usable,
        factor=adjustment(len(history), splits),
        splits=splits,
        anchor=anchor,
        stale=lag,
    )
    return one, findings


def _choose_anchor(config: ForecastConfig, *, close_is_usable: bool) -> Anchor:
    if config.anchor in ("open", "range"):
        return "open" if config.anchor == "open" else "range"
    if close_is_usable:
        return "close"
    return "open" if config.preset == "tutorial" else "range"


def _split_finding(ticker: str, split: Split) -> Finding:
    message = f"{ticker}: split {split} on {split.date}, adjusted inside the model; what is published is not"
    return Finding(ticker, "split", message)


def _day(value: np.datetime64) -> date:
    day: date = value.astype("datetime64[D]").item()
    return day
