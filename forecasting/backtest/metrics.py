"""The scores of a backtest, and what they prove: every model compared with the best baseline of its ticker and step.

One test per ticker is many tests: of five hundred forecasters without any skill, twenty-five beat their baseline at the
5 % level. So p-values are corrected over tickers, in two ways: by Holm, who bounds the probability of any false claim,
and by Benjamini and Hochberg, who bound the share of false ones among all claims.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control

from forecasting.config import QUANTILE_COLUMNS
from forecasting.evaluation.baselines import BASELINES
from forecasting.evaluation.metrics import score_heldout
from forecasting.evaluation.scoring_rules import crps, diebold_mariano
from forecasting.schemas import MEASURES, SCORED, versioned

__all__ = [
    "BACKTEST_METRICS",
    "CLAIM",
    "PUBLISHED",
    "count_claims",
    "holm",
    "q_values",
    "score_backtest",
    "shared_rows",
]

PUBLISHED = "published"
"""The model that consists, at each origin, of what a daily run would have published."""

TESTED = ("lstm", PUBLISHED)

CLAIM = 0.05
"""Corrected p-values below this are claimed as better or worse."""

_KEYS = ["ticker", "step"]

_TESTS = ("crps_ratio", "dm_p_value", "dm_p_holm", "dm_q_value")

BACKTEST_METRICS = versioned(
    "backtest_metrics",
    {
        **SCORED,
        "chosen_share": pa.float64(),
        "best_baseline": pa.string(),
        **dict.fromkeys(_TESTS, pa.float64()),
    },
    optional=[*MEASURES, "best_baseline", *_TESTS],
)
"""metrics.parquet of a backtest: one row per ticker, model and step.

All scores are of the origins from which each of the ticker's models has a forecast. ``chosen_share`` is the share of
origins at which a daily run would have published this model. Only for ``lstm`` and ``published``: ``best_baseline`` is
the baseline that turned out best on this ticker and step, ``crps_ratio`` the CRPS divided by that baseline's,
``dm_p_value`` the two-sided Diebold-Mariano test between the two, and ``dm_p_holm`` and ``dm_q_value`` the same
corrected over all tickers of the step.
"""


def score_backtest(rows: pd.DataFrame, scales: Mapping[str, float]) -> pd.DataFrame:
    """Score every ticker, model and step.

    Parameters
    ----------
    rows
        As `forecasting.backtest.study.judge` gives them.
    scales
        Of MASE, by ticker.

    Returns
    -------
    pandas.DataFrame
        Columns of `BACKTEST_METRICS`.
    """
    shared = shared_rows(rows)
    chosen = shared[shared["chosen"]].assign(model=PUBLISHED)
    both = pd.concat([shared.assign(model=shared["model"].astype("str")), chosen], ignore_index=True)
    tables = {str(ticker): pa.Table.from_pandas(own) for ticker, own in both.groupby("ticker", observed=True)}
    scores = score_heldout(tables, scales, ()).drop(columns=["chosen", "dm_p_value"])
    share = both.groupby([*_KEYS, "model"], observed=True)["chosen"].mean().rename("chosen_share").reset_index()
    share = share.assign(ticker=share["ticker"].astype("str"))  # as the scores have it
    tested = pd.DataFrame.from_records(
        list(_tests(both)), columns=[*_KEYS, "model", "best_baseline", "crps_ratio", "dm_p_value"]
    )
    families = tested.groupby(["step", "model"])["dm_p_value"]
    tested = tested.assign(dm_p_holm=families.transform(holm), dm_q_value=families.transform(q_values))
    keys = [*_KEYS, "model"]
    metrics: pd.DataFrame = scores.merge(share, on=keys).merge(tested, on=keys, how="left")
    return metrics.loc[:, list(BACKTEST_METRICS.names)]


def shared_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out origins from which one of a ticker's models has no forecast, for example for lack of rows."""
    there = rows.groupby([*_KEYS, "cutoff"], observed=True)["model"].transform("size")
    models = rows.groupby(_KEYS, observed=True)["model"].transform("nunique")
    return rows[there == models]


def _tests(rows: pd.DataFrame) -> Iterator[tuple[object, ...]]:
    """Test models against the best baseline, ticker by ticker and step by step, on the same origins."""
    loss = crps(rows["actual"], rows[list(QUANTILE_COLUMNS)])
    keyed = rows[[*_KEYS, "cutoff", "model"]].assign(ticker=rows["ticker"].astype("str"), loss=loss)
    wide = keyed.pivot_table(index=[*_KEYS, "cutoff"], columns="model", values="loss")
    losses = {model: wide[model].to_numpy() for model in (*TESTED, *BASELINES) if model in wide}
    keys = wide.reset_index()[_KEYS]
    starts = np.flatnonzero(~keys.duplicated())
    spans = map(slice, starts, [*starts[1:], len(wide)])
    for (ticker, step), span in zip(keys.iloc[starts].itertuples(index=False, name=None), spans, strict=True):
        own = {model: values[span] for model, values in losses.items() if np.isfinite(values[span]).all()}
        means = {model: float(own[model].mean()) for model in own}
        best = min((model for model in BASELINES if model in own), key=means.__getitem__)
        for model in TESTED:
            if model in own:
                ratio = means[model] / means[best] if means[best] else np.nan
                yield ticker, step, model, best, ratio, diebold_mariano(own[model], own[best], step)


def count_claims(metrics: pd.DataFrame) -> pd.DataFrame:
    """Count the tickers on which a model is better or worse than the best baseline, before and after correction.

    Returns
    -------
    DataFrame
        One row per step and tested model: ``step``, ``model``, ``tickers`` (those that could be tested), ``crps_ratio``
        (geometric mean over them), and ``better`` and ``worse`` without correction (``_raw``), by Holm (``_holm``) and
        by Benjamini and Hochberg (``_bh``), each at `CLAIM`.
    """
    tested = metrics.dropna(subset=["best_baseline"])
    tested = tested.assign(log_ratio=np.log(tested["crps_ratio"].where(tested["crps_ratio"] > 0)))
    for column, name in (("dm_p_value", "raw"), ("dm_p_holm", "holm"), ("dm_q_value", "bh")):
        claimed = tested[column] < CLAIM
        tested = tested.assign(
            **{
                f"better_{name}": claimed & (tested["crps_ratio"] < 1),
                f"worse_{name}": claimed & (tested["crps_ratio"] > 1),
            }
        )
    counted = [f"{word}_{name}" for name in ("raw", "holm", "bh") for word in ("better", "worse")]
    groups = tested.groupby(["step", "model"], sort=True)
    sums = groups[counted].sum().astype(int)
    ratio = np.exp(groups["log_ratio"].mean()).rename("crps_ratio")
    counts: pd.DataFrame = pd.concat([groups.size().rename("tickers"), ratio, sums], axis=1)
    return counts.reset_index()


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Correct p-values so that, claiming those below a level, the chance of any false claim is at most that level.

    Holm (1979, Scandinavian Journal of Statistics 6, 65-70), for any dependence between the tests. NaN, where there was
    nothing to test, stays NaN and does not count.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(6).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, dtype=np.float64)
    out = np.full_like(given, np.nan)
    tested = np.flatnonzero(np.isfinite(given))
    order = tested[np.argsort(given[tested], kind="stable")]
    out[order] = np.minimum(np.maximum.accumulate(given[order] * np.arange(len(order), 0, -1)), 1.0)
    return out


def q_values(p_values: ArrayLike) -> NDArray[np.float64]:
    """Correct p-values so that, claiming those below a level, at most that share of the claims is false on average.

    Benjamini and Hochberg (1995, Journal of the Royal Statistical Society B 57, 289-300), for tests that are
    independent or depend positively. NaN stays NaN and does not count.

    Examples
    --------
    >>> q_values([0.01, 0.04, 0.03]).round(6).tolist()
    [0.03, 0.04, 0.04]
    """
    given = np.asarray(p_values, dtype=np.float64)
    tested = np.isfinite(given)
    out = np.full_like(given, np.nan)
    if tested.any():
        out[tested] = false_discovery_control(given[tested])
    return out
