"""The style of all pictures: background, axes, dates, legends, and how they become PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from forecasting.formatting import MONTHS, format_number

__all__ = [
    "BLUE",
    "GREEN",
    "GRID",
    "INK",
    "MUTED",
    "ORANGE",
    "date_ticks",
    "label",
    "legend",
    "new_figure",
    "png",
    "price_axis",
    "session_ticks",
    "spread",
    "step_colours",
    "style",
]

INK, MUTED, GRID = "#1f2933", "#5f6b7a", "#e4e7eb"
BLUE, ORANGE, GREEN = "#0b62a8", "#d55e00", "#00805e"
_DPI = 144
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def new_figure(width: float, height: float) -> Figure:
    """Make an empty picture of this size in inches, without any global state.

    The margins are fixed, because the layout engine takes three times as long as drawing: the left one has room for a
    six-figure price or a label and a three-figure number, the upper one for a legend, the lower one for the ticks.
    """
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.66 / width, right=1 - 0.16 / width, top=1 - 0.32 / height, bottom=0.42 / height)
    return figure


def png(figure: Figure) -> bytes:
    """Write the picture; the same picture gives the same bytes.

    Ninety-six colours are enough for these pictures, and make the file a third as large as full colour would.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    buffer = io.BytesIO()
    few = picture.quantize(96, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    # Choosing the colours rounds them, and a background that is not quite white is visible on a white page.
    few.putpalette([255 if part >= 253 else part for part in few.getpalette() or ()])
    few.save(buffer, format="png", optimize=True, dpi=(_DPI, _DPI))
    return buffer.getvalue()


def style(axes: Axes) -> None:
    """Set the axes' style: a light grid behind the data, no frame, small grey numbers."""
    axes.set_axisbelow(True)
    axes.grid(visible=True, color=GRID, linewidth=0.7)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=MUTED)


def label(axes: Axes, *, x: str = "", y: str = "", title: str = "") -> None:
    """Label the axes, and the picture above them."""
    if x:
        axes.set_xlabel(x, color=MUTED, fontsize=8.5)
    if y:
        axes.set_ylabel(y, color=MUTED, fontsize=8.5)
    if title:
        axes.set_title(title, color=MUTED, fontsize=8.5, loc="left", pad=3)


def legend(axes: Axes) -> None:
    """Put the legend in a line above the axes, where it covers nothing."""
    if not axes.get_legend_handles_labels()[0]:
        return
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=8,
        fontsize=8,
        frameon=False,
        labelcolor=INK,
        handlelength=1.2,
        handletextpad=0.5,
        borderaxespad=0.2,
        borderpad=0.1,
        columnspacing=1.3,
    )


def price_axis(axes: Axes, ticks: int = 5) -> None:
    """Write prices on the vertical axis with the number of decimals that its ticks need."""
    axes.yaxis.set_major_locator(MaxNLocator(ticks))
    axes.yaxis.set_major_formatter(_PriceFormatter())


def date_ticks(axes: Axes, dates: Sequence[Any] | pd.Index | pd.Series, *, at_most: int = 9) -> None:
    """Label sessions 0, 1, 2 ... with their dates: with months where there are more than two, else with days.

    Sessions are drawn at equal distances, so that weekends and holidays leave no gaps.
    """
    stamps = pd.DatetimeIndex(pd.to_datetime(pd.Series(list(dates))))
    months = stamps.year * 12 + stamps.month
    starts = np.flatnonzero(np.diff(months.to_numpy(), prepend=months[0] if len(months) else 0))
    if len(starts) > 2:
        chosen = starts[:: -(-len(starts) // at_most)]
        written = [MONTHS[stamps[place].month - 1] for place in chosen]
    else:
        chosen = spread(np.arange(len(stamps)), 5)
        written = [f"{stamps[place].day} {MONTHS[stamps[place].month - 1]}" for place in chosen]
    year = 0
    for index, place in enumerate(chosen):
        if stamps[place].year != year:
            year = stamps[place].year
            written[index] += f"\n{year}"
    axes.set_xticks(list(chosen), written)


def session_ticks(axes: Axes, steps: NDArray[np.int64], targets: pd.DatetimeIndex) -> None:
    """Label steps with the weekday and date of the session they forecast."""
    chosen = spread(np.arange(len(steps)), 5)
    written = [f"{_WEEKDAYS[targets[i].weekday()]}\n{targets[i].day} {MONTHS[targets[i].month - 1]}" for i in chosen]
    axes.set_xticks([int(steps[i]) for i in chosen], written)


def spread(values: NDArray[np.int64], amount: int) -> NDArray[np.int64]:
    """Choose at most ``amount`` of the values, evenly, with the first and the last."""
    if len(values) <= amount:
        return values
    return np.asarray(values[np.unique(np.linspace(0, len(values) - 1, amount).round().astype(int))])


def step_colours(amount: int) -> list[str]:
    """Return colours for ordered things, dark to light, readable without colour vision."""
    return [to_hex(colour) for colour in colormaps["viridis"](np.linspace(0.0, 0.85, max(amount, 1)))]


class _PriceFormatter(Formatter):
    """Writes all ticks of an axis alike; numbers too long for the margin are written with an exponent."""

    def format_ticks(self, values: list[float]) -> list[str]:
        """Write the ticks of one axis with as many decimals as keep them apart."""
        apart = float(np.min(np.diff(values))) if len(values) > 1 else 0.01
        exact = (places for places in range(15) if np.allclose(values, np.round(values, places), 0, 1e-3 * apart))
        places = next(exact, 15)
        written = [format_number(value, places) for value in values]
        return written if max(map(len, written), default=0) <= 9 else [f"{value:.4g}" for value in values]

    def __call__(self, value: float, pos: int | None = None) -> str:
        del pos
        return self.format_ticks([value])[0]
