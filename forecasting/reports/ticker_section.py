"""One ticker's part of the report: its pictures with what they say, its forecasts and its scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from forecasting.evaluation.metrics import REFERENCE
from forecasting.findings import Finding
from forecasting.formatting import MISSING, count, day, decimals_for, number, percent
from forecasting.reports.charts import (
    calibration_chart,
    calibration_shares,
    data_uri,
    fan_chart,
    heldout_chart,
    training_chart,
)

__all__ = ["Picture", "ScoreTable", "Section", "ticker_section"]

_ERRORS = ("mae", "rmse", "mape", "mase", "crps")
_COVERAGES = {"coverage_50": 0.5, "coverage_80": 0.8, "coverage_90": 0.9}
_DRAWN_TARGETS = 120


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, what it says, and what it shows for those who cannot see it."""

    source: str
    says: str
    shows: str
    wide: bool


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """The scores of every model at one step; ``best`` holds (model, column) of each column's best value."""

    step: int
    n: int
    rows: list[dict[str, Any]]
    best: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Section:
    """Everything the page says about one ticker; ``anchor`` is its address in the page.

    ``scale`` is what its MASE is over, and ``repeating`` the MASE of repeating the last Open at the nearest step: above
    1 where prices have moved more than in training rows. Either is NaN where there is none.
    """

    ticker: str
    anchor: str
    distinction: str
    decimals: int
    forecasts: list[dict[str, Any]]
    pictures: list[Picture]
    scores: list[ScoreTable]
    findings: tuple[Finding, ...]
    scale: float
    repeating: float


def ticker_section(
    ticker: str,
    *,
    anchor: str,
    distinction: str,
    prices: pd.DataFrame,
    forecasts: pd.DataFrame,
    heldout: pd.DataFrame,
    metrics: pd.DataFrame,
    curves: pd.DataFrame,
    findings: tuple[Finding, ...],
    scale: float,
) -> Section:
    """Make a ticker's section from its own rows of each table; what has no rows is left out."""
    ordered = forecasts.sort_values("step").assign(reason=forecasts["reason"].astype(object).fillna(""))
    published = heldout.merge(ordered[["step", "model"]], on=["step", "model"])
    decimals = decimals_for(float(ordered["anchor_price"].iloc[0]))
    return Section(
        ticker=ticker,
        anchor=anchor,
        distinction=distinction,
        decimals=decimals,
        forecasts=[
            {str(name): value for name, value in row.items()} | {"change": row["forecast"] / row["anchor_price"] - 1}
            for row in ordered.to_dict("records")
        ],
        pictures=list(_pictures(prices, ordered, published, curves, decimals)),
        scores=[_score_table(int(str(step)), rows) for step, rows in metrics.groupby("step", sort=True)],
        findings=findings,
        scale=scale,
        repeating=_repeating(metrics),
    )


def _repeating(metrics: pd.DataFrame) -> float:
    own = metrics[(metrics["model"] == REFERENCE) & (metrics["step"] == metrics["step"].min())]
    return float(own["mase"].iloc[0]) if len(own) else float("nan")


def _pictures(
    prices: pd.DataFrame, forecasts: pd.DataFrame, published: pd.DataFrame, curves: pd.DataFrame, decimals: int
) -> Iterator[Picture]:
    if len(prices):
        yield _fan(prices, forecasts, decimals)
    nearest = published[published["step"] == forecasts["step"].iloc[0]].dropna(subset=["actual", "q10", "q90"])
    if len(nearest):
        yield _heldout(nearest)
        yield _calibration(published)
    if curves["train_loss"].notna().any():
        yield _training(curves)


def _fan(prices: pd.DataFrame, forecasts: pd.DataFrame, decimals: int) -> Picture:
    first = forecasts.iloc[0]
    low, mid, high = (number(float(first[name]), decimals) for name in ("q10", "q50", "q90"))
    return Picture(
        source=data_uri(fan_chart(prices, forecasts)),
        says=f"Open on {day(first['target_date'])}: {mid}, with four chances in five between {low} and {high}.",
        shows="Recent Open, with Low to High shaded, and the fan of forecasts: median, 50, 80 and 90 % bands",
        wide=True,
    )


def _heldout(rows: pd.DataFrame) -> Picture:
    drawn = rows.sort_values("target_date").tail(_DRAWN_TARGETS)
    inside = int(((drawn["actual"] >= drawn["q10"]) & (drawn["actual"] <= drawn["q90"])).sum())
    step = int(drawn["step"].iloc[0])
    ahead = "the next session's Open" if step == 1 else f"the Open {step} sessions ahead"
    return Picture(
        source=data_uri(heldout_chart(drawn, last=_DRAWN_TARGETS)),
        says=(
            f"The last {count(len(drawn), 'held-out forecast')} of {ahead}: "
            f"{inside} ({percent(inside / len(drawn), 0)}) came inside the 80 % band."
        ),
        shows="Held-out forecasts against what came; actuals outside the 80 % band are marked",
        wide=True,
    )


def _calibration(published: pd.DataFrame) -> Picture:
    shares = calibration_shares(published)
    apart = (shares - shares.columns.to_numpy(float)).abs()
    worst = float(apart.to_numpy().max())
    return Picture(
        source=data_uri(calibration_chart(published)),
        says=(
            f"Calibration over {count(int(published['target_date'].nunique()), 'held-out session')}: no quantile is "
            f"more than {100 * worst:.0f} points from its level. Inside the grey is chance."
        ),
        shows="Share of actuals at or below each quantile, a line for each step, against the diagonal",
        wide=False,
    )


def _training(curves: pd.DataFrame) -> Picture:
    fit = curves[curves["phase"] == "fit"] if (curves["phase"] == "fit").any() else curves
    kept = np.sort(fit.loc[fit["best"].astype(bool), "epoch"].unique())
    members = count(int(fit["member"].nunique()), "LSTM")
    epochs = f"{kept[0]}" if len(kept) == 1 else f"{kept[0]} to {kept[-1]}" if len(kept) else MISSING
    return Picture(
        source=data_uri(training_chart(curves)),
        says=f"Training of {members}; the weights kept are of epoch {epochs} (dots).",
        shows="Training and validation loss over the epochs: members faint, their mean bold",
        wide=False,
    )


def _score_table(step: int, rows: pd.DataFrame) -> ScoreTable:
    ordered = rows.sort_values(["crps", "model"], kind="stable")
    best: set[tuple[str, str]] = set()
    for column in (*_ERRORS, *_COVERAGES):
        distance = (ordered[column].astype(float) - _COVERAGES.get(column, 0.0)).abs()
        if distance.notna().any():
            best |= {(str(model), column) for model in ordered.loc[distance == distance.min(), "model"]}
    records = [{str(name): value for name, value in row.items()} for row in ordered.to_dict("records")]
    return ScoreTable(step, int(ordered["n"].max()), records, frozenset(best))
