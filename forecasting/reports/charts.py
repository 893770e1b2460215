"""The pictures of a forecast, as PNG bytes, for the Prefect UI and for other places where they are shown.

Each function takes plain frames or arrays and returns a whole picture. Only matplotlib's object interface is used, so
that pictures can be drawn from several threads. Nothing in them depends on the clock: the same data give the same
bytes. Colour-blind readers can distinguish the colours.
"""

from __future__ import annotations

import base64

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from forecasting.config import LEVELS
from forecasting.evaluation.heldout_summary import Calibration
from forecasting.formatting import MINUS
from forecasting.reports.chart_style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    date_ticks,
    label,
    legend,
    new_figure,
    png,
    price_axis,
    session_ticks,
    spread,
    step_colours,
    style,
)
from forecasting.reports.figures import TONES, Curves

__all__ = [
    "calibration_chart",
    "fan_chart",
    "heldout_chart",
    "markdown_picture",
    "trend_chart",
]

_BANDS = (("q05", "q95", "90 %", "#dceaf6"), ("q10", "q90", "80 %", "#b9d5ec"), ("q25", "q75", "50 %", "#86b6dd"))


def markdown_picture(says: str, png: bytes) -> str:
    """Write a picture for markdown, with its bytes inside and a description."""
    return f"![{says}](data:image/png;base64,{base64.b64encode(png).decode('ascii')})"


def fan_chart(prices: pd.DataFrame, forecast: pd.DataFrame, *, sessions: int = 60) -> bytes:
    """Draw the recent prices and, on the same price axis, the fan of the next sessions.

    Parameters
    ----------
    prices
        One ticker's rows, oldest first: ``date``, ``open``, ``high``, ``low``.
    forecast
        One ticker's rows of forecasts.parquet: ``target_date``, ``step``, ``anchor``, ``anchor_price``, quantiles.
    sessions
        How many of the last sessions are drawn.
    """
    recent = prices.tail(sessions)
    future = forecast.sort_values("step")
    figure = new_figure(8.6, 3.3)
    past, fan = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": (1.55, 1.0), "wspace": 0.03})
    at = np.arange(len(recent))
    past.fill_between(at, recent["low"], recent["high"], color="#d5dae0", linewidth=0, label="Low to High")
    past.plot(at, recent["open"], color=INK, linewidth=1.4, label="Open")
    past.set_xlim(-0.5, len(recent) - 0.5)
    date_ticks(past, recent["date"])
    price_axis(past)
    style(past)

    steps = np.concatenate(([0], future["step"].to_numpy()))
    anchor = float(future["anchor_price"].iloc[0])

    def from_anchor(column: str) -> NDArray[np.float64]:
        return np.concatenate(([anchor], future[column].to_numpy(float)))

    for low, high, name, colour in _BANDS:
        fan.fill_between(steps, from_anchor(low), from_anchor(high), color=colour, linewidth=0, label=name)
    fan.plot(steps, from_anchor("q50"), color=BLUE, linewidth=1.8, marker="o", markevery=slice(1, None), markersize=4)
    fan.axhline(anchor, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
    name = f"last {str(future['anchor'].iloc[0]).capitalize()}"
    fan.plot(
        [0], [anchor], marker="D", markersize=6, color=ORANGE, linestyle="none", clip_on=False, zorder=5, label=name
    )
    fan.set_xlim(0, float(steps[-1]) + 0.15 * max(1.0, float(steps[-1]) / 5))
    session_ticks(fan, steps[1:], pd.DatetimeIndex(pd.to_datetime(future["target_date"])))
    style(fan)
    fan.tick_params(axis="y", length=0, labelleft=False)
    legend(past)
    legend(fan)
    return png(figure)


def heldout_chart(heldout: pd.DataFrame) -> bytes:
    """Draw held-out forecasts against the actual: the prices above, the misses of the median below.

    Parameters
    ----------
    heldout
        Rows of heldout.parquet of one ticker, one model and one step: ``target_date``, ``actual``, quantiles.
    """
    rows = heldout.sort_values("target_date")
    low, mid, high, actual = (rows[name].to_numpy(float) for name in ("q10", "q50", "q90", "actual"))
    at = np.arange(len(rows))
    missed = (actual < low) | (actual > high)
    figure = new_figure(8.6, 3.9)
    above, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (1.5, 1.0), "hspace": 0.2})
    for axes, origin in ((above, np.zeros_like(mid)), (below, mid)):
        axes.fill_between(
            at, low - origin, high - origin, step="mid", color=_BANDS[1][3], linewidth=0, label="80 % band"
        )
        outside = (actual - origin)[missed]
        axes.plot(at[missed], outside, "o", color=ORANGE, markersize=4.5, zorder=4, label="actual, outside")
    above.plot(at, actual, color=INK, linewidth=1.1, zorder=3, label="actual Open")
    below.axhline(0, color=BLUE, linewidth=1.2)
    below.vlines(at, 0, actual - mid, color=np.where(missed, ORANGE, MUTED).tolist(), linewidth=1.3)
    label(below, title=f"actual {MINUS} median")
    above.set_xlim(-1, len(rows))
    date_ticks(below, rows["target_date"])
    for axes in (above, below):
        price_axis(axes, 5 if axes is above else 4)
        style(axes)
    legend(above)
    return png(figure)


def calibration_chart(calibration: Calibration) -> bytes:
    """Draw, for each step, how often the actual was at or below each of the 19 quantiles; the diagonal is perfect.

    The grey zone is where nine in ten points of a perfect forecast would be (normal approximation of the binomial, for
    independent targets; steps beyond the first overlap, so their points scatter more).
    """
    levels = np.asarray(LEVELS)
    chance = 1.645 * np.sqrt(levels * (1 - levels) / max(1, calibration.sessions))
    figure = new_figure(4.2, 3.7)
    axes = figure.subplots()
    axes.fill_between(100 * levels, 100 * (levels - chance), 100 * (levels + chance), color="#e9ecef", linewidth=0)
    axes.plot([0, 100], [0, 100], color=MUTED, linewidth=0.9, linestyle=(0, (3, 3)))
    shares = calibration.shares
    drawn = spread(np.array(list(shares), dtype=np.int64), 5)
    for colour, step in zip(step_colours(len(drawn)), drawn, strict=True):
        axes.plot(100 * levels, 100 * shares[step], color=colour, linewidth=1.5, label=f"step {step}")
    axes.set(xlim=(0, 100), ylim=(0, 100))
    label(axes, x="quantile, %", y="actuals at or below it, %")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    style(axes)
    legend(axes)
    return png(figure)


def trend_chart(curves: Curves, *, wide: bool = True) -> bytes:
    """Draw how one or several measures moved from day to day, and where they should be.

    Parameters
    ----------
    curves
        What to draw; its labels are dates.
    wide
        Whether it has the full width of the page, or half of it.
    """
    figure = new_figure(8.6, 2.6) if wide else new_figure(4.2, 3.7)
    axes = figure.subplots()
    at = np.arange(len(curves.labels))
    if curves.band is not None:
        axes.axhspan(curves.scale * curves.band[0], curves.scale * curves.band[1], color="#e6f1ec", linewidth=0)
    if curves.target is not None:
        axes.axhline(curves.scale * curves.target, color=GREEN, linewidth=0.9, linestyle=(0, (3, 3)))
    single = len(at) == 1
    for tone, (name, values) in zip(TONES, curves.series.items(), strict=False):
        drawn = curves.scale * np.asarray(values, float)
        colour = {"blue": BLUE, "orange": ORANGE, "green": GREEN, "muted": MUTED, "ink": INK}[tone]
        axes.plot(at, drawn, color=colour, linewidth=1.6, label=name, marker="o" if single else None, markersize=4)
    axes.set_xlim(-0.5, max(len(at) - 0.5, 0.5))
    label(axes, y=f"{curves.measure},{curves.unit}" if curves.unit else curves.measure)
    date_ticks(axes, curves.labels, at_most=9 if wide else 5)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    style(axes)
    if len(curves.series) > 1:
        legend(axes)
    return png(figure)
