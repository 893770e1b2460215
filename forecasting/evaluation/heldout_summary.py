"""Summaries of held-out rows, small enough to be kept in memory for thousands of tickers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from forecasting.config import LEVELS, QUANTILE_COLUMNS

__all__ = ["DRAWN", "Calibration", "HeldoutSummary", "published_heldout", "summarize_heldout"]

DRAWN = 120
"""Held-out forecasts of one ticker in a chart, at most."""


@dataclass(slots=True)
class Calibration:
    """How often the actual was at or below each of the 19 quantiles, by step.

    Attributes
    ----------
    rows, below
        By step, the number of forecasts, and how many of their actuals were at or below each quantile, shape (19,).
    sessions
        Forecasts of the nearest step, of the ticker that has most. Tickers move together in a session, so that the
        range of chance depends on the number of sessions, not on that of rows.
    """

    sessions: int = 0
    rows: dict[int, int] = field(default_factory=dict)
    below: dict[int, NDArray[np.int64]] = field(default_factory=dict)

    @classmethod
    def of(cls, heldout: Mapping[str, NDArray[Any]]) -> Calibration:
        """Count over columns of held-out forecasts: ``step``, ``actual`` and the quantiles."""
        actual = heldout["actual"]
        held = np.stack([actual <= heldout[name] for name in QUANTILE_COLUMNS], axis=-1)
        known = np.isfinite(actual) & np.isfinite(heldout[QUANTILE_COLUMNS[0]])
        by_step = {int(step): known & (heldout["step"] == step) for step in np.unique(heldout["step"][known])}
        rows = {step: int(own.sum()) for step, own in by_step.items()}
        return cls(max(rows.values(), default=0), rows, {step: held[own].sum(axis=0) for step, own in by_step.items()})

    def add(self, other: Calibration) -> None:
        """Add the counts of another one."""
        self.sessions = max(self.sessions, other.sessions)
        for step, rows in other.rows.items():
            self.rows[step] = self.rows.get(step, 0) + rows
            self.below[step] = self.below.get(step, np.zeros(len(LEVELS), dtype=np.int64)) + other.below[step]

    @property
    def shares(self) -> dict[int, NDArray[np.float64]]:
        """By step, the share of actuals at or below each quantile, ideally the quantile's level."""
        return {step: self.below[step] / self.rows[step] for step in sorted(self.rows)}


@dataclass(frozen=True, slots=True)
class HeldoutSummary:
    """One ticker's held-out forecasts of the published models.

    Attributes
    ----------
    newest
        The last `DRAWN` of the first step that is published: columns ``step``, ``target_date``, ``actual``, ``q10``,
        ``q50``, ``q90``, none of them missing, by date.
    calibration
        How often the actual was at or below each quantile, over all rows.
    """

    newest: Mapping[str, NDArray[Any]]
    calibration: Calibration


def published_heldout(heldout: Mapping[str, pa.Table], forecasts: pd.DataFrame) -> dict[str, pa.Table]:
    """Choose from each ticker's held-out rows those of the model that is published at each step, by step and date.

    ``forecasts`` name that model.
    """
    published: dict[str, dict[int, str]] = {ticker: {} for ticker in heldout}
    for ticker, step, model in zip(*(forecasts[name] for name in ("ticker", "step", "model")), strict=True):
        published[ticker][step] = model
    return {ticker: _published(rows, published[ticker]) for ticker, rows in heldout.items()}


def _published(rows: pa.Table, models: Mapping[int, str]) -> pa.Table:
    step, chosen = rows["step"].to_numpy(), np.zeros(len(rows), dtype=bool)
    for model in set(models.values()):
        same = pc.equal(rows["model"], model).to_numpy(zero_copy_only=False).astype(bool)
        chosen |= same & np.isin(step, [one for one, own in models.items() if own == model])
    at = np.flatnonzero(chosen)
    return rows.take(at[np.lexsort((rows["target_date"].to_numpy()[at], step[at]))])


def summarize_heldout(published: Mapping[str, pa.Table]) -> dict[str, HeldoutSummary]:
    """Summarize each ticker's rows, as `published_heldout` gives them."""
    return {ticker: _summarize(table) for ticker, table in published.items()}


def _summarize(table: pa.Table) -> HeldoutSummary:
    rows = {name: table[name].to_numpy() for name in ("step", "target_date", "actual", *QUANTILE_COLUMNS)}
    finite = np.isfinite([rows[name] for name in ("actual", "q10", "q90")]).all(axis=0)
    newest = np.flatnonzero(finite & (rows["step"] == rows["step"].min(initial=60)))[-DRAWN:]
    kept = ("step", "target_date", "actual", "q10", "q50", "q90")
    return HeldoutSummary({name: rows[name][newest] for name in kept}, Calibration.of(rows))
