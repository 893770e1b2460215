"""Engineer each ticker's series: Open and High-Low, the anchor that forecasts start from, splits, staleness."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.arrays import Array
from forecasting.calendars import count_sessions
from forecasting.config import ForecastConfig
from forecasting.features.splits import Split, adjustment, find_splits
from forecasting.findings import Finding

__all__ = ["Anchor", "Engineered", "TickerSeries", "Withheld", "engineer", "usable_close"]

Anchor = Literal["open", "close", "range"]
"""Where forecasts start from: the last Open, the last Close, or an estimate of the Close from Open, High and Low."""

RANGE_WEIGHTS = (0.80, 0.75)
"""Where a session ends, as weights of ln(High/Open) and ln(Open/Low); by least squares on real tickers' Closes."""

CLOSE_SLACK = 0.001
"""How far a usable Close may stand outside [Low, High], as a share of the price: rounding, no more."""

CLOSE_SHARE = 0.99
"""Share of rows whose Close must be inside [Low, High] for the Close to be on the Open's basis."""

FEWEST_CHANGES = 10
"""So many earlier changes over the longest step there must be, for any forecast."""

PRICE_BOUND = 1e15
"""Prices above this, or below its inverse, are not prices."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """A ticker that gets no forecast at all, with the kind of reason and a sentence for the reader."""

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
        Prices as they stand in the file.
    close
        The same, NaN on the few rows where it is not usable; None where it is not used at all.
    factor
        ``open * factor`` is on the last row's basis, whatever splits lie between.
    anchor
        Which price forecasts start from; a usable Close is kept even when this is the Open.
    stale
        How many of the calendar's sessions the last row lags the as-of date, 0 when up to date.
    """

    ticker: str
    dates: NDArray[np.datetime64]
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

        From the range, it is where a session that rose so far above its Open and fell so far below it ends up on
        average: ``log O + 0.80 ln(H/O) - 0.75 ln(O/L)``.
        """
        if self.anchor == "range":
            up, down = RANGE_WEIGHTS
            estimate: Array = self.open * (self.high / self.open) ** up * (self.low / self.open) ** down
            return estimate
        return self.open if self.anchor == "open" or self.close is None else self.close

    @property
    def cutoff(self) -> date:
        """The last session that a forecast sees."""
        return pd.Timestamp(self.dates[-1]).date()


@dataclass(frozen=True, slots=True)
class Engineered:
    """All tickers that can be forecast, those that cannot, and what was noticed on the way."""

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
        What is asked for: the anchor, how stale is too stale, how short too short.
    as_of
        The run's date, against which a ticker is up to date or stale.

    Returns
    -------
    Engineered
        Each ticker is independent in it: none changes because of another.
    """
    series: list[TickerSeries] = []
    withheld: list[Withheld] = []
    findings: list[Finding] = []
    for ticker, rows in prices.groupby("ticker", sort=True):
        name = str(ticker)
        lag = count_sessions(config.calendar, rows["date"].iloc[-1].date(), as_of)
        refusal = _why_not(name, rows, config, lag, as_of)
        if refusal is not None:
            withheld.append(refusal)
            continue
        one, noticed = _engineer_ticker(name, rows, config, lag)
        findings.extend(noticed)
        if one.anchor != "close" and config.anchor == "close":
            withheld.append(Withheld(name, "no usable close", f"{name}: --anchor close, but its Close is not usable"))
        else:
            series.append(one)
    return Engineered(tuple(series), tuple(withheld), tuple(findings))


def _why_not(ticker: str, rows: pd.DataFrame, config: ForecastConfig, lag: int, as_of: date) -> Withheld | None:
    last = rows["date"].iloc[-1].date()
    if lag > config.stale_after:
        message = (
            f"{ticker}: last row {last} is {lag} sessions before {as_of}, more than --stale-after {config.stale_after}"
        )
        return Withheld(ticker, "stale", message)
    needed = max(config.minimum_history, config.horizon + FEWEST_CHANGES)
    if len(rows) < needed:
        message = f"{ticker}: {len(rows)} rows, at least {needed} are needed to forecast {config.horizon} sessions"
        return Withheld(ticker, "too short", message)
    if (rows["open"] == rows["open"].iloc[0]).all():
        message = f"{ticker}: every Open is {rows['open'].iloc[0]:g}; a constant has no distribution to forecast"
        return Withheld(ticker, "constant", message)
    lowest, highest = rows["low"].min(), rows["high"].max()
    if not 1 / PRICE_BOUND <= lowest <= highest <= PRICE_BOUND:
        message = f"{ticker}: prices from {lowest:g} to {highest:g}, beyond {1 / PRICE_BOUND:g} to {PRICE_BOUND:g}"
        return Withheld(ticker, "exploding", message)
    return None


def _engineer_ticker(
    ticker: str, rows: pd.DataFrame, config: ForecastConfig, lag: int
) -> tuple[TickerSeries, list[Finding]]:
    dates = rows["date"].to_numpy().astype("datetime64[D]")
    open_, high, low, close, volume = (
        rows[name].to_numpy(dtype=np.float64) for name in ("open", "high", "low", "close", "volume")
    )
    splits = find_splits(dates, open_, high, low, close, volume)
    findings = [_tell_split(ticker, split) for split in splits]
    usable, complaint = usable_close(high, low, close)
    anchor = _choose_anchor(config, close_is_usable=usable is not None)
    if complaint is not None and config.anchor in ("auto", "close"):
        instead = "the last Open" if anchor == "open" else "where Open, High and Low say that the session ended"
        findings.append(Finding(ticker, "close", f"{ticker}: {complaint}; forecasts start from {instead}"))
    if lag:
        findings.append(Finding(ticker, "stale", f"{ticker}: its last row, {dates[-1]}, is {lag} sessions old"))
    one = TickerSeries(
        ticker=ticker,
        dates=dates,
        open=open_,
        high=high,
        low=low,
        close=usable,
        factor=adjustment(len(dates), splits),
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


def _tell_split(ticker: str, split: Split) -> Finding:
    message = f"{ticker}: split {split} on {split.date}, adjusted inside the model; what is published is not"
    return Finding(ticker, "split", message)


def usable_close(high: Array, low: Array, close: Array) -> tuple[Array | None, str | None]:
    """Decide whether Close is on the same basis as Open; give it with its stray values blanked, or say why not."""
    if np.isnan(close).all():
        return None, None
    slack = CLOSE_SLACK * high
    inside = (close >= low - slack) & (close <= high + slack)
    share = float(inside.mean())
    if share < CLOSE_SHARE:
        return None, f"Close is outside [Low, High] or missing on {int((~inside).sum())} of {len(close)} rows"
    if not inside[-1]:
        return None, "the last row's Close is outside [Low, High] or missing"
    return np.where(inside, close, np.nan), None
