"""Scores of a panel's held-out forecasts: relative to persistence, with the noise of each number beside it.

Errors are relative to the actual price, so that a ticker's price level does not weigh. Two means of the CRPS are given:
over the tickers' own ratios to persistence, and over all rows at once. Rows of one date move together, so that standard
errors are clustered by date, with Bartlett's weights over the ``step - 1`` dates on which forecasts overlap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["BASELINES", "QUANTILES", "clustered_error", "score_panel", "with_losses", "worse_than_baseline"]

QUANTILES = [f"q{level:02d}" for level in range(5, 100, 5)]
LEVELS = np.arange(0.05, 0.96, 0.05)
CENTRAL = {50: ("q25", "q75"), 80: ("q10", "q90"), 90: ("q05", "q95")}
BASELINES = ("persistence", "last_close", "ewma_range")
TERCILES = ("calm", "middle", "wild")


def with_losses(heldout: pd.DataFrame, ranges: pd.DataFrame) -> pd.DataFrame:
    """Add each row's relative CRPS and absolute error, whether its intervals hold, and the tercile of its volatility.

    Parameters
    ----------
    heldout
        The columns of a store's held-out rows.
    ranges
        ticker, cutoff and ``trailing``: the mean log range of the last 22 sessions.
    """
    actual = heldout["actual"].to_numpy()[:, None]
    error = actual - heldout[QUANTILES].to_numpy(dtype=np.float64)
    loss = 2 * (np.maximum(LEVELS * error, (LEVELS - 1) * error) / actual).mean(axis=1)
    rows = heldout.assign(
        crps=loss,
        mae=((heldout["actual"] - heldout["forecast"]) / heldout["actual"]).abs(),
        **{
            f"in_{level}": heldout["actual"].between(heldout[low], heldout[high])
            for level, (low, high) in CENTRAL.items()
        },
    ).drop(columns=QUANTILES)
    rows = rows.merge(ranges, on=["ticker", "cutoff"], how="left")
    rank = rows.groupby(["ticker", "step", "model"], observed=True)["trailing"].rank(pct=True)
    return rows.assign(tercile=pd.cut(rank, [0, 1 / 3, 2 / 3, 1], labels=list(TERCILES)))


def score_panel(rows: pd.DataFrame) -> pd.DataFrame:
    """Score every step and model.

    Returns
    -------
    pandas.DataFrame
        Indexed by step and model: ``n``; ``crps_own``, the mean of the tickers' own ratios to persistence; ``crps`` and
        ``mae``, pooled, relative to persistence; ``in_50``, ``in_80``, ``in_90``, the same within each tercile
        (``in_80_calm`` ...), and their standard errors (``in_80_se``).
    """
    keys = ["step", "model"]
    hits = [f"in_{level}" for level in CENTRAL]
    pooled = rows.groupby(keys, observed=True)[["crps", "mae", *hits]].mean()
    beside = pooled.xs("persistence", level="model").reindex(pooled.index, level="step")
    own = rows.groupby(["step", "ticker", "model"], observed=True)["crps"].mean().unstack()
    own = own.div(own["persistence"], axis=0).groupby("step").mean().stack()
    out = pooled.assign(
        n=rows.groupby(keys, observed=True).size(),
        crps=pooled["crps"] / beside["crps"],
        mae=pooled["mae"] / beside["mae"],
        crps_own=own,
    )
    by_tercile = rows.groupby([*keys, "tercile"], observed=True)[hits].mean().unstack()
    by_tercile.columns = [f"{hit}_{tercile}" for hit, tercile in by_tercile.columns]
    errors = {key: _coverage_errors(group, int(key[0])) for key, group in rows.groupby(keys, observed=True)}
    return out.join(by_tercile).join(pd.DataFrame.from_dict(errors, orient="index").rename_axis(keys))


def _coverage_errors(group: pd.DataFrame, step: int) -> Mapping[str, float]:
    dates = group["cutoff"].to_numpy()
    return {f"in_{level}_se": clustered_error(group[f"in_{level}"].to_numpy(float), dates, step) for level in CENTRAL}


def clustered_error(values: NDArray[np.float64], dates: NDArray[np.datetime64], step: int) -> float:
    """Standard error of a mean whose values move together within a date and overlap over ``step - 1`` dates.

    (Newey and West 1987, on the sums of each date.)
    """
    _, place = np.unique(dates, return_inverse=True)
    sums = np.bincount(place, values - values.mean())
    variance = sums @ sums + 2 * sum(
        (1 - lag / step) * (sums[lag:] @ sums[:-lag]) for lag in range(1, min(step, len(sums)))
    )
    return float(np.sqrt(max(variance, 0.0)) / len(values))


def worse_than_baseline(
    rows: pd.DataFrame, model: str, step: int, margin: float = 0.01, baselines: Sequence[str] = BASELINES
) -> int:
    """Count the tickers on which a model's CRPS is worse than the best baseline's by more than ``margin`` of it."""
    means = rows[rows["step"] == step].groupby(["ticker", "model"], observed=True)["crps"].mean().unstack()
    best = means[[name for name in baselines if name in means]].min(axis=1)
    return int((means[model] > (1 + margin) * best).sum())
