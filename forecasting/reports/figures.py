"""What charts of the pages show, and how it is described to the script that draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from forecasting.config import LEVELS, QUANTILE_COLUMNS

__all__ = ["TONES", "Calibration", "Curves"]

TONES = ("blue", "orange", "green", "muted", "ink")


@dataclass(frozen=True, slots=True)
class Curves:
    """How one or several measures move, beside where they should be.

    Attributes
    ----------
    says
        What there is to see, in a sentence.
    labels
        What the values are of, in order: dates, or anything else by its name.
    series
        Name to its values (NaN where there is none); at most five, drawn in the order given. One alone needs no name.
    target, band
        Where the measures should be, and the zone that is still good; in the unit of the values.
    measure, unit
        What is measured, and what is written after each value.
    scale
        Values, target and band are multiplied by this (100 turns shares into percent).
    decimals
        That values are written with.
    """

    says: str
    labels: Sequence[Any] | pd.Index
    series: Mapping[str, ArrayLike]
    target: float | None = None
    band: tuple[float, float] | None = None
    measure: str = ""
    unit: str = ""
    scale: float = 1.0
    decimals: int = 2

    def chart(self) -> dict[str, Any]:
        """Describe the chart to the page's script."""
        names = [one.strftime("%Y-%m-%d") if isinstance(one, date) else str(one) for one in self.labels]
        places = self.decimals + 1
        lines = [
            {"name": name or None, "tone": tone, "values": _rounded(self.scale * np.asarray(values, float), places)}
            for tone, (name, values) in zip(TONES, self.series.items(), strict=False)
        ]
        low, high = ([round(self.scale * edge, places)] * len(names) for edge in self.band or (0.0, 0.0))
        return {
            "labels": names,
            "lines": lines,
            "areas": [{"name": "expected", "tone": "good", "low": low, "high": high}] if self.band else [],
            "rule": None if self.target is None else self.scale * self.target,
            "unit": self.unit,
            "decimals": self.decimals,
        }


@dataclass(slots=True)
class Calibration:
    """How often the actual was at or below each of the 19 quantiles, by step.

    Attributes
    ----------
    rows, below
        Step to its forecasts, and to how many of their actuals were at or below each quantile, shape (19,).
    sessions
        Forecasts of the nearest step, of the ticker that has most. Tickers of one session move together, so that it is
        sessions, not rows, that say how far chance reaches.
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
        """Count another's rows too."""
        self.sessions = max(self.sessions, other.sessions)
        for step, rows in other.rows.items():
            self.rows[step] = self.rows.get(step, 0) + rows
            self.below[step] = self.below.get(step, np.zeros(len(LEVELS), dtype=np.int64)) + other.below[step]

    def chart(self) -> dict[str, Any]:
        """Describe the chart: for each step the shares in thousandths."""
        steps = sorted(self.rows)
        return {
            "n": self.sessions,
            "steps": steps,
            "shares": [np.rint(1000 * self.below[step] / self.rows[step]).astype(int).tolist() for step in steps],
        }


def _rounded(values: NDArray[np.float64], decimals: int) -> list[float | None]:
    return [round(one, decimals) if np.isfinite(one) else None for one in values.tolist()]
