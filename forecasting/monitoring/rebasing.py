"""In which unit a published forecast is to be held to the file: splits since, rebased histories, corrected prices.

Prices of one ticker are in different units when a split lies between them. In a history that is not adjusted the
split shows as a step, between cutoff and target; in one that was adjusted since the forecast was made, the whole
history up to the split is on another basis, so that the price at the cutoff is no longer the one forecast from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.arrays import Array
from forecasting.features.history import Dates, History
from forecasting.features.splits import RATIOS, Split
from forecasting.findings import Finding

__all__ = ["KnownOpens", "PublishedRows", "rebased", "split_between"]

Rows = NDArray[np.int64]

KnownOpens = Callable[[date, str], Mapping[date, float]]
"""From a date of publication and a ticker to the last Opens before it as they were then; empty where not known."""

_SAME = 1e-6
"""Prices whose ratio is nearer to 1 than this are the same price, written with other digits."""

_NEAR_SPLIT = 0.01
"""A ratio this near to that of a split is the split's, blurred by prices that are rounded to cents."""

_ROUND_RATIOS: Array = np.array([float(ratio) for ratio in (Fraction(1), *RATIOS)])


@dataclass(frozen=True, eq=False)
class PublishedRows:
    """Published forecasts as columns, one value a row; of a single ticker wherever a history is beside them."""

    as_of: Dates
    cutoff: Dates
    target: Dates
    step: Rows
    from_close: NDArray[np.bool_]
    anchor_price: Array

    @classmethod
    def of(cls, rows: pd.DataFrame) -> PublishedRows:
        """Take the columns of forecasts.parquet, and ``as_of``."""
        as_of, cutoff, target = (
            np.asarray(rows[name].to_numpy(), dtype="datetime64[D]") for name in ("as_of", "cutoff", "target_date")
        )
        step, price = rows["step"].to_numpy(dtype=np.int64), rows["anchor_price"].to_numpy(dtype=np.float64)
        return cls(as_of, cutoff, target, step, (rows["anchor"] == "close").to_numpy(dtype=bool), price)

    def take(self, rows: Rows) -> PublishedRows:
        """Choose some of the rows."""
        return PublishedRows(
            self.as_of[rows],
            self.cutoff[rows],
            self.target[rows],
            self.step[rows],
            self.from_close[rows],
            self.anchor_price[rows],
        )


def split_between(history: History, cutoff: Rows, target: Rows) -> tuple[Array, list[Finding]]:
    """Find what prices at the targets are to be multiplied by to be in the unit of the cutoffs' rows.

    A split counts as it was visible on the target's own day, so that scoring late and scoring at once give the same.
    """
    factor = np.ones(len(cutoff))
    crossed: dict[Split, int] = {}
    for k, (start, end) in enumerate(zip(cutoff.tolist(), target.tolist(), strict=True)):
        for split in history.splits(end):
            if start < split.index:
                factor[k] *= float(split.ratio)
                crossed[split] = crossed.get(split, 0) + 1
    return factor, [
        Finding(
            history.ticker,
            "split",
            f"{history.ticker}: a split {split} on {split.date} lies between cutoff and target of published forecasts "
            f"({number} of those scored now); they are scored in the cutoff's unit",
        )
        for split, number in crossed.items()
    ]


def rebased(history: History, published: PublishedRows, cutoff: Rows, known: KnownOpens) -> tuple[Array, list[Finding]]:
    """Find what the file's prices are to be multiplied by to be in the unit that the forecasts were made in.

    Parameters
    ----------
    history, published
        One ticker's rows and forecasts.
    cutoff
        Row of each forecast's cutoff.
    known
        Asked where the price forecast from is another now. Where the Opens before it have changed by the same factor,
        the history was rebased; where they have not, the one price was corrected, and the unit is what it was.

    Returns
    -------
    factor, findings
        1 where nothing has changed, NaN where the unit is not known.
    """
    now = np.where(published.from_close, history.close[cutoff], history.open[cutoff])
    factor = published.anchor_price / now
    changed = ~(np.abs(factor - 1) <= _SAME)
    factor[~changed] = 1.0
    findings: dict[float, Finding] = {}
    # All forecasts of one date share their cutoff, and so their unit; Open and Close show it alike.
    for as_of in np.unique(published.as_of[changed]):
        chosen = changed & (published.as_of == as_of)
        first = int(np.flatnonzero(chosen)[0])
        unit = _unit(history, known(as_of.item(), history.ticker), factor[chosen])
        factor[chosen] = unit
        seen = (
            f"{history.ticker}: its {'Close' if published.from_close[first] else 'Open'} of {published.cutoff[first]} "
            f"was {published.anchor_price[first]:g} when it was forecast from, and is {now[first]:g} in the data now"
        )
        findings.setdefault(unit, _tell(history.ticker, seen, unit))
    return factor, list(findings.values())


def _unit(history: History, known: Mapping[date, float], ratios: Array) -> float:
    row = history.row_of(np.array(list(known), dtype="datetime64[D]"))
    before = np.array(list(known.values()), dtype=np.float64)[row >= 0] / history.open[row[row >= 0]]
    ratios = np.concatenate([before, np.unique(ratios)])
    if not np.isfinite(ratios).any():
        return float("nan")
    middle = float(np.nanmedian(ratios))
    nearest = float(_ROUND_RATIOS[np.argmin(np.abs(np.log(_ROUND_RATIOS / middle)))])
    tolerance = _SAME if nearest == 1 else _NEAR_SPLIT
    return nearest if abs(middle / nearest - 1) <= tolerance else middle


def _tell(ticker: str, seen: str, unit: float) -> Finding:
    if unit == 1:
        return Finding(ticker, "warning", f"{seen}; the prices before it are unchanged, so it counts as corrected")
    if np.isnan(unit):
        return Finding(ticker, "warning", f"{seen}; the forecast's unit is not known, and it is not scored")
    return Finding(ticker, "split", f"{seen}: the history was rebased; scored in the forecast's unit, times {unit:g}")
