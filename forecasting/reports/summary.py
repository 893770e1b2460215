"""A run's forecasts and scores, summed up over all tickers and for each of them.

Prices of different tickers have no common unit, so tickers are pooled as ratios to ``persistence`` on the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from forecasting.evaluation.metrics import REFERENCE, WITH_LSTM
from forecasting.formatting import signed_percent

__all__ = ["MEANINGS", "Headline", "headline", "ladder", "most_telling", "overview", "pooled_scores"]

MEANINGS = {
    REFERENCE: "The last Open again, with the spread of all earlier changes.",
    "last_close": "The same from the last Close, which is known when the forecast is made.",
    "ewma_range": "The last known price, its spread scaled by the ranges of recent sessions (exponentially weighted).",
    "har": "The same, the ranges of the last day, week and month weighted by fixed coefficients (HAR).",
    "lstm": "The ticker's own LSTM.",
    "combination": "The mean of the quantiles of LSTM and HAR, calibrated on the past.",
}
"""Every model, from the plainest on, and what it is."""

_INDEX = ["ticker", "step"]


@dataclass(frozen=True, slots=True)
class Headline:
    """The run in a few numbers.

    Attributes
    ----------
    tickers, forecasts
        How many were published (a forecast is one ticker's step).
    lstm, baseline
        Of the forecasts, how many have a fresh LSTM in them and how many are a baseline's.
    stale
        Tickers published although their newest row is older than it should be.
    withheld
        Tickers that were not published.
    step
        The nearest step, which the next three are about.
    crps_ratio
        Median over tickers of the published model's CRPS over that of persistence; NaN where nothing is scored.
    best_baseline_ratio
        The same over the baseline that turned out best on the held-out rows.
    coverage_80
        Share of all held-out actuals inside the published model's 80 % band.
    """

    tickers: int
    forecasts: int
    lstm: int
    baseline: int
    stale: int
    withheld: int
    step: int
    crps_ratio: float
    best_baseline_ratio: float
    coverage_80: float


def overview(forecasts: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """One row per ticker: its nearest forecast and how good its published model was on held-out rows.

    Parameters
    ----------
    forecasts, metrics
        As forecasts.parquet and metrics.parquet have them.

    Returns
    -------
    DataFrame
        Sorted by ticker: the forecast's own columns of the nearest step (``reason`` empty for none), ``change`` (of the
        median from the anchor), ``steps`` and ``lstm_steps`` (how many are published, and with the LSTM),
        ``stale``, and of the published model ``n``, ``crps``, ``mase``, ``coverage_80``, ``crps_ratio`` (to
        persistence), ``skill`` (1 - crps_ratio) and ``best_baseline_ratio``; NaN where there is no score.
    """
    ordered = forecasts.sort_values(_INDEX).assign(reason=forecasts["reason"].astype(object).fillna(""))
    groups = ordered.groupby("ticker", sort=True)
    nearest = groups.head(1).set_index("ticker")
    scores = _published_scores(nearest.reset_index()[["ticker", "step", "model"]], metrics)
    return nearest.assign(
        change=nearest["forecast"] / nearest["anchor_price"] - 1,
        steps=groups.size(),
        lstm_steps=ordered["model"].isin(WITH_LSTM).groupby(ordered["ticker"]).sum(),
        stale=ordered["reason"].str.contains("stale", case=False).groupby(ordered["ticker"]).any(),
        **{str(name): scores[name] for name in scores},
    ).reset_index()


def headline(table: pd.DataFrame, withheld: int) -> Headline:
    """Sum up the table of `overview`."""
    scored = table.dropna(subset=["n", "coverage_80"])
    inside, total = float((scored["coverage_80"] * scored["n"]).sum()), float(scored["n"].sum())
    return Headline(
        tickers=len(table),
        forecasts=int(table["steps"].sum()),
        lstm=int(table["lstm_steps"].sum()),
        baseline=int((table["steps"] - table["lstm_steps"]).sum()),
        stale=int(table["stale"].sum()),
        withheld=withheld,
        step=int(table["step"].min()) if len(table) else 1,
        crps_ratio=_median(table["crps_ratio"]),
        best_baseline_ratio=_median(table["best_baseline_ratio"]),
        coverage_80=inside / total if total else float("nan"),
    )


def pooled_scores(metrics: pd.DataFrame) -> pd.DataFrame:
    """Every model over all tickers: one row per step and model.

    Returns
    -------
    DataFrame
        ``step``, ``model``, ``tickers`` (that have both this model and persistence), ``published`` (for how many of
        them), ``crps_ratio`` and ``mae_ratio`` (geometric means over tickers of the ratio to persistence),
        ``coverage_50``, ``coverage_80``, ``coverage_90`` (of all held-out rows together).
    """
    reference = metrics.loc[metrics["model"] == REFERENCE, [*_INDEX, "crps", "mae"]]
    joined = metrics[metrics["n"] > 0].merge(reference, on=_INDEX, suffixes=("", "_of_persistence"))
    coverages = [name for name in joined.columns if str(name).startswith("coverage_")]
    rated = joined.assign(
        crps_ratio=_log_ratio(joined["crps"], joined["crps_of_persistence"]),
        mae_ratio=_log_ratio(joined["mae"], joined["mae_of_persistence"]),
        published=joined["chosen"].astype(bool),
        **{f"{name}_rows": joined["n"].where(joined[name].notna()) for name in coverages},
        **{name: joined[name] * joined["n"] for name in coverages},
    )
    groups = rated.groupby(["step", "model"], sort=True)
    means: pd.DataFrame = groups[["crps_ratio", "mae_ratio"]].mean().apply(np.exp)
    inside, rows = groups[coverages].sum(min_count=1), groups[[f"{name}_rows" for name in coverages]].sum()
    covered: pd.DataFrame = inside / rows.set_axis(coverages, axis=1)
    counts = groups.agg(tickers=("ticker", "nunique"), published=("published", "sum"))
    return counts.join(means).join(covered).reset_index()


def ladder(pooled: pd.DataFrame, step: int) -> str:
    """Say how much each model changes the CRPS, compared with the model before it in `MEANINGS`.

    Parameters
    ----------
    pooled
        As `pooled_scores` gives it.
    step
        Which step.

    Returns
    -------
    str
        A sentence; empty where fewer than two models are scored.
    """
    rows = pooled[(pooled["step"] == step) & np.isfinite(pooled["crps_ratio"])]
    ratios = rows.set_index("model")["crps_ratio"].to_dict()
    scored = [model for model in MEANINGS if model in ratios]
    changes = [f"{model} {signed_percent(ratios[model] / ratios[before] - 1, 1)}" for before, model in pairwise(scored)]
    if not changes:
        return ""
    return f"CRPS compared with the model before: {scored[0]}, then {', '.join(changes)}. Lower is better."


def most_telling(table: pd.DataFrame) -> str | None:
    """Choose the ticker whose nearest forecast differs most from its last price, relative to its own 80 % band.

    Stale tickers, and those tested on fewer held-out sessions than the median ticker, are chosen only when there are no
    others; None without tickers.

    Parameters
    ----------
    table
        As `overview` gives it.
    """
    tested = table["n"].fillna(0) >= table["n"].fillna(0).median()
    candidates = table[tested & ~table["stale"].astype(bool)]
    candidates = candidates if len(candidates) else table
    if candidates.empty:
        return None
    apart = (candidates["forecast"] - candidates["anchor_price"]).abs() / (candidates["q90"] - candidates["q10"])
    return str(candidates["ticker"].iloc[int(np.argmax(apart.fillna(-1).to_numpy()))])


def _published_scores(published: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    columns = ["n", "crps", "mase", "coverage_80"]
    keys = [*_INDEX, "model"]
    own = published.merge(metrics.drop_duplicates(keys)[[*keys, *columns]], on=keys, how="left").set_index("ticker")
    crps = published[_INDEX].merge(
        metrics[~metrics["model"].isin(WITH_LSTM)]
        .pivot_table(index=_INDEX, columns="model", values="crps")
        .reset_index(),
        on=_INDEX,
        how="left",
    )
    baselines = crps.set_index("ticker").drop(columns="step")
    persistence = baselines[REFERENCE] if REFERENCE in baselines else pd.Series(np.nan, index=baselines.index)
    ratio = own["crps"] / persistence.where(persistence > 0)
    best = baselines.min(axis=1)
    return own[columns].assign(
        crps_ratio=ratio, skill=1 - ratio, best_baseline_ratio=own["crps"] / best.where(best > 0)
    )


def _log_ratio(score: pd.Series, reference: pd.Series) -> pd.Series:
    return (score / reference).where((score > 0) & (reference > 0)).map(np.log)


def _median(values: pd.Series) -> float:
    finite = values[np.isfinite(values.astype(float))]
    return float(finite.median()) if len(finite) else float("nan")
