"""How published forecasts turned out: prices and forecasts in, the score of each forecast out.

A forecast is compared with the Open of its target session, in the unit that the forecast was made in (`rebasing`). Next
to its score are those of ``persistence`` and ``last_close``: their quantiles follow from the rows up to the cutoff,
with the same definition as in a run (`forecasting.evaluation.baselines`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from forecasting.arrays import Array, IntArray
from forecasting.config import LEVELS, QUANTILE_COLUMNS
from forecasting.evaluation.baselines import change_quantiles
from forecasting.evaluation.scoring_rules import crps, pinball
from forecasting.features.history import History, histories
from forecasting.features.splits import Split, adjustment
from forecasting.findings import Finding
from forecasting.monitoring.rebasing import KnownOpens, PublishedRows, rebased, split_between
from forecasting.schemas import WHEN, versioned

__all__ = ["REFERENCES", "SCORES", "reference_quantiles", "score"]

REFERENCES = ("persistence", "last_close")
"""The models whose scores are given with each forecast's."""

SCORES = versioned(
    "scores",
    {
        **WHEN,
        **dict.fromkeys(("actual", "unit", "forecast", "error", "pinball", "crps"), pa.float64()),
        **dict.fromkeys(("inside_50", "inside_80", "inside_90"), pa.bool_()),
        **dict.fromkeys(("crps_persistence", "crps_last_close"), pa.float64()),
    },
    optional=["crps_persistence", "crps_last_close"],
)
"""scores.parquet: one row per ticker, target_date, step, cutoff and model, all prices in the forecast's own unit.

``actual`` is the file's Open times ``unit`` (1 except for splits and rebased histories), ``error`` the actual minus the
forecast, ``pinball`` the mean loss of the 19 quantiles, ``crps`` twice that. A reference's CRPS is null where it has no
forecast (without a usable Close at the cutoff, for example).
"""

_BANDS = {"inside_50": ("q25", "q75"), "inside_80": ("q10", "q90"), "inside_90": ("q05", "q95")}


def score(
    prices: pd.DataFrame, forecasts: pd.DataFrame, known: KnownOpens
) -> tuple[pd.DataFrame, pd.DataFrame, tuple[Finding, ...]]:
    """Score published forecasts whose target sessions are in the data.

    Parameters
    ----------
    prices
        The validated long frame (see `forecasting.ingest.prices`).
    forecasts
        Rows of forecasts.parquet, with ``as_of``, the date as of which each was published.
    known
        Gives Opens as they were when a date was published; called only where the price forecast from has changed since.

    Returns
    -------
    scores, waiting, findings
        `SCORES`'s columns and ``as_of``, of those that can be scored; the rows of ``forecasts`` that cannot (yet);
        splits, rebased and corrected histories, and cutoffs that are no longer in the data.
    """
    rows = forecasts.sort_values(["ticker", "as_of", "step"], kind="stable", ignore_index=True)
    published = PublishedRows.of(rows)
    actual, unit = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    references = {name: np.full((len(rows), len(LEVELS)), np.nan) for name in REFERENCES}
    findings: list[Finding] = []
    places = rows.groupby("ticker", sort=False).indices
    for history in histories(prices[prices["ticker"].isin(list(places))]):
        own, cutoff, target, lost = _due(history, published, np.asarray(places[history.ticker]))
        factor, reported = rebased(history, published.take(own), cutoff, known)
        clear = np.isfinite(factor)
        own, cutoff, target, factor = own[clear], cutoff[clear], target[clear], factor[clear]
        split, split_findings = split_between(history, cutoff, target)
        unit[own] = factor * split
        actual[own] = history.open[target] * unit[own]
        for name, quantiles in reference_quantiles(history, cutoff, published.step[own]).items():
            references[name][own] = quantiles * factor[:, None]
        findings += [*lost, *reported, *split_findings]
    done = np.isfinite(actual)
    losses = {name: crps(actual[done], quantiles[done]) for name, quantiles in references.items()}
    return _scores(rows[done], actual[done], unit[done], losses), rows[~done], tuple(findings)


def reference_quantiles(history: History, cutoff: IntArray, step: IntArray) -> dict[str, Array]:
    """Forecast with each of `REFERENCES`, from the rows up to the cutoffs.

    Parameters
    ----------
    history
        The ticker's rows.
    cutoff, step
        Each forecast's cutoff, as a row, and its step; shape ``(n,)``.

    Returns
    -------
    dict
        Name to ``(n, 19)`` quantiles of the Open, in the unit of the cutoff's own row; NaN where there is no forecast.
    """
    out = {name: np.full((len(cutoff), len(LEVELS)), np.nan) for name in REFERENCES}
    # Cutoffs at which the same splits are known share one pass over the history.
    groups: dict[tuple[tuple[Split, ...], bool], list[int]] = {}
    for row in np.unique(cutoff).tolist():
        groups.setdefault((history.splits(row), history.closes(row) is not None), []).append(row)
    horizon = int(step.max(initial=1))
    for (splits, has_close), members in groups.items():
        first, newest = members[0], members[-1]
        factor = adjustment(newest + 1, splits)
        log_open = np.log(history.open[: newest + 1] * factor)
        closes = history.closes(newest) if has_close else None
        bases = {"persistence": log_open} | ({} if closes is None else {"last_close": np.log(closes * factor)})
        opens, base = np.broadcast_to(log_open, (len(bases), newest + 1)), np.stack(list(bases.values()))
        changes = change_quantiles(opens, base, np.ones((*base.shape, horizon)), first)
        chosen = np.isin(cutoff, members)
        at = cutoff[chosen]
        for name, origin, found in zip(bases, base, changes, strict=True):
            out[name][chosen] = np.exp(origin[at, None] + found[at - first, step[chosen] - 1])
    return out


def _due(
    history: History, published: PublishedRows, own: IntArray
) -> tuple[IntArray, IntArray, IntArray, list[Finding]]:
    """Choose those of a ticker's forecasts that its history can score, with their cutoffs and targets as rows."""
    cutoff, target = history.row_of(published.cutoff[own]), history.row_of(published.target[own])
    due, there = target >= 0, cutoff >= 0
    findings = [
        Finding(
            history.ticker,
            "warning",
            f"{history.ticker}: {day}, from which it was forecast, is no longer in the data; not scored",
        )
        for day in np.unique(published.cutoff[own[due & ~there]])
    ]
    chosen = due & there
    return own[chosen], cutoff[chosen], target[chosen], findings


def _scores(rows: pd.DataFrame, actual: Array, unit: Array, references: Mapping[str, Array]) -> pd.DataFrame:
    quantiles = {name: rows[name].to_numpy(dtype=np.float64) for name in QUANTILE_COLUMNS}
    dense = np.column_stack(list(quantiles.values()))
    return rows[["as_of", "ticker", "cutoff", "target_date", "step", "model", "forecast"]].assign(
        actual=actual,
        unit=unit,
        error=actual - rows["forecast"].to_numpy(dtype=np.float64),
        pinball=pinball(actual[:, None], dense, np.array(LEVELS)).mean(axis=1),
        crps=crps(actual, dense),
        **{name: (quantiles[low] <= actual) & (actual <= quantiles[high]) for name, (low, high) in _BANDS.items()},
        **{f"crps_{name}": loss for name, loss in references.items()},
    )
