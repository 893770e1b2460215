"""Charts of the pages, as the JSON that the page's script draws them from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from forecasting.config import LEVELS, QUANTILE_COLUMNS

__all__ = ["Calibration", "line_chart"]

_TONES = ("blue", "orange", "green", "muted", "ink")


def line_chart(
    labels: Iterable[object],
    series: Mapping[str, ArrayLike],
    *,
    target: float | None = None,
    band: tuple[float, float] | None = None,
    unit: str = "",
    scale: float = 1.0,
    decimals: int = 1,
) -> dict[str, Any]:
    """Describe how one or several measures moved, beside where they should be.

    Parameters
    ----------
    labels
        What the values are of: dates, or anything else by its name.
    series
        Name to its values (NaN where there is none); at most five, in the order given. An empty name is not written.
    target, band
        Where the measure should be, and the zone that is still good; in the unit of the values.
    unit
        Written after each value.
    scale
        Values, target and band are multiplied by this (100 turns shares into percent).
    decimals
        That values are written with.
    """
    names = [one.strftime("%Y-%m-%d") if isinstance(one, date) else str(one) for one in labels]
    lines = [
        {"name": name or None, "tone": tone, "values": _rounded(np.asarray(values, float) * scale, decimals + 2)}
        for tone, (name, values) in zip(_TONES, series.items(), strict=False)
    ]
    low, high = ([round(scale * edge, decimals + 2)] * len(names) for edge in band or (0.0, 0.0))
    return {
        "labels": names,
        "lines": lines,
        "areas": [{"name": "expected", "tone": "good", "low": low, "high": high}] if band else [],
        "rule": None if target is None else scale * target,
        "unit": unit,
        "decimals": decimals,
    }


@dataclass(slots=True)
class Calibration:
    """How often the actual was at or below each of the 19 quantiles, by step.

    Attributes
    ----------
    rows, below
        Step to its forecasts, and to how many of their actuals were at or below each quantile, shape (19,).
    """

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
        return cls(rows, {step: held[own].sum(axis=0) for step, own in by_step.items()})

    def add(self, other: Calibration) -> None:
        """Count another's rows too."""
        for step, rows in other.rows.items():
            self.rows[step] = self.rows.get(step, 0) + rows
            self.below[step] = self.below.get(step, np.zeros(len(LEVELS), dtype=np.int64)) + other.below[step]

    def chart(self, sessions: int | None = None) -> dict[str, Any]:
        """Describe the chart: for each step the shares in thousandths.

        Parameters
        ----------
        sessions
            Held-out sessions, from which follows how far chance reaches; the nearest step's rows when None. Tickers of
            one session move together, so that of many tickers the sessions are fewer than the rows.
        """
        steps = sorted(self.rows)
        return {
            "n": sessions or self.rows[steps[0]],
            "steps": steps,
            "shares": [np.rint(1000 * self.below[step] / self.rows[step]).astype(int).tolist() for step in steps],
        }


def _rounded(values: NDArray[np.float64], decimals: int) -> list[float | None]:
    return [round(one, decimals) if np.isfinite(one) else None for one in values.tolist()]
