"""The charts of the pages, as data for the script that draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from forecasting.evaluation.heldout_summary import Calibration

__all__ = ["TONES", "Curves", "calibration_spec"]

TONES = ("blue", "orange", "green", "muted", "ink")


@dataclass(frozen=True, slots=True)
class Curves:
    """How one or several measures move, and where they should be.

    Attributes
    ----------
    says
        What the chart shows, in a sentence.
    labels
        The horizontal axis, in order: dates, or other labels.
    series
        Values by name (NaN where missing); at most five, drawn in this order. A single one needs no name.
    target, band
        Where the measures should be, and the range that is still good, in the unit of the values.
    measure, unit
        What is measured, and the unit that is written after each value.
    scale
        Values, target and band are multiplied by this (100 turns shares into percent).
    decimals
        How many decimals the values are written with.
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


def calibration_spec(calibration: Calibration) -> dict[str, Any]:
    """Describe the chart of a calibration to the page's script: each step's shares, in thousandths."""
    return {
        "n": calibration.sessions,
        "steps": list(calibration.shares),
        "shares": [np.rint(1000 * shares).astype(int).tolist() for shares in calibration.shares.values()],
    }


def _rounded(values: NDArray[np.float64], decimals: int) -> list[float | None]:
    return [round(one, decimals) if np.isfinite(one) else None for one in values.tolist()]
