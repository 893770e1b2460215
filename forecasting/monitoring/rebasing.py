"""In which unit a published forecast is compared with the file: later splits, rebased histories, corrected prices.

Prices of one ticker are in different units when there is a split between them. In a history that is not adjusted, the
split is a step between cutoff and target. In one that was adjusted after the forecast was made, the whole history up to
the split is on another basis, so that the price at the cutoff is not the one that was forecast from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.arrays import Array, IntArray
from forecasting.features.history import Dates, History
from forecasting.features.splits import RATIOS, Split
from forecasting.findings import Finding

__all__ = ["KnownOpens", "PublishedRows", "rebased", "split_between"]

KnownOpens = Callable[[date, str], Mapping[date, float]]
"""Gives the last Opens before a date of publication as they were then, for a ticker; empty where they are not known."""

_SAME = 1e-6
"""Prices whose ratio differs from 1 by less than this are the same price, written with other digits."""

_NEAR_SPLIT = 0.01
"""A ratio this near to a split's is that split's, changed by prices that are rounded to cents."""

_ROUND_RATIOS: Array = np.array([float(ratio) for ratio in (Fraction(1), *RATIOS)])


@dataclass(frozen=True, eq=False)
class PublishedRows:
    """Published forecasts as columns, one value per row; of a single ticker where they are used with a history."""

    as_of: Dates
    cutoff: Dates
    target: Dates
    step: IntArray
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

    def take(self, rows: IntArray) -> PublishedRows:
        """Choose some of the rows."""
        return PublishedRows(
            self.as_of[rows],
            self.cutoff[rows],
            self.target[rows],
            self.step[rows],
            self.from_close[rows],
            self.anchor_price[rows],
        )


def split_between(history: History, cutoff: IntArray, target: IntArray) -> tuple[Array, list[Finding]]:
    """Find the factors that bring prices at the targets into the unit of the cutoffs' rows.

    Only splits that are visible in the rows up to the target count, so that scoring late and at once give the same.
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


def rebased(
    history: History, published: PublishedRows, cutoff: IntArray, known: KnownOpens
) -> tuple[Array, list[Finding]]:
    """Find the factors that bring the file's prices into the unit in which the forecasts were made.

    Parameters
    ----------
    history, published
        One ticker's rows and forecasts.
    cutoff
        Row of each forecast's cutoff.
    known
        Called where the price forecast from has changed. Where the Opens before it have changed by the same factor,
        the history was rebased; where they have not, this one price was corrected, and the unit is the same.

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
    # All forecasts of one date have the same cutoff, and so the same unit, whether from Open or Close.
    for as_of in np.unique(published.as_of[changed]):
        chosen = changed & (published.as_of == as_of)
        first = int(np.flatnonzero(chosen)[0])
        unit = _unit(history, known(as_of.item(), history.ticker), factor[chosen])
        factor[chosen] = unit
        seen = (
            f"{history.ticker}: its {'Close' if published.from_close[first] else 'Open'} of {published.cutoff[first]} "
            f"was {published.anchor_price[first]:g} when it was forecast from, and is {now[first]:g} in the data now"
        )
        findings.setdefault(unit, _finding(history.ticker, seen, unit))
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


def _finding(ticker: str, seen: str, unit: float) -> Finding:
    if unit == 1:
        return Finding(ticker, "warning", f"{seen}; the prices before it are unchanged, so it counts as corrected")
    if np.isnan(unit):
        return Finding(ticker, "warning", f"{seen}; the forecast's unit is not known, and it is not scored")
    return Finding(ticker, "split", f"{seen}: the history was rebased; scored in the forecast's unit, times {unit:g}")
