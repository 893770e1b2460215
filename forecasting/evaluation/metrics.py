"""The table ``metrics.parquet``: every model's scores on the held-out rows of each ticker and step.

The formulas are in `forecasting.evaluation.scoring_rules`; here they are applied to held-out rows as they are written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.arrays import Array
from forecasting.config import QUANTILE_COLUMNS
from forecasting.evaluation.scoring_rules import CENTRAL, crps, diebold_mariano, mase
from forecasting.schemas import METRICS

__all__ = ["REFERENCE", "WITH_LSTM", "score_heldout"]

REFERENCE = "persistence"
"""The model with which all others are compared."""

WITH_LSTM = ("lstm", "combination")
"""The models that have an LSTM in them."""

_NAN = float("nan")


def score_heldout(
    heldout: Mapping[str, pa.Table], scales: Mapping[str, float], chosen: Collection[tuple[str, int, str]]
) -> pd.DataFrame:
    """Score every ticker, model and step from held-out rows as written.

    Parameters
    ----------
    heldout
        Each ticker's rows, in any order: cutoff, target_date, step, model, actual, forecast, q05 ... q95; one row a
        (model, step, cutoff).
    scales
        Mean absolute one-step change of Open over each ticker's training rows; MASE is NaN for a ticker not in it.
    chosen
        What is published: (ticker, step, model).

    Returns
    -------
    pandas.DataFrame
        The columns of `forecasting.schemas.METRICS`, by ticker, step and model (``lstm`` first, then by name). The
        Diebold-Mariano test is on the mean pinball loss of the 19 quantiles, over targets shared with ``persistence``.
    """
    published = set(chosen)
    records = [
        (ticker, model, step, *scores, (ticker, step, model) in published)
        for ticker, rows in sorted(heldout.items())
        for model, step, scores in _score_ticker(rows, scales.get(ticker, _NAN))
    ]
    frame = pd.DataFrame.from_records(records, columns=METRICS.names)
    types = {"ticker": "str", "model": "str", "step": "int32", "n": "int32", "chosen": "bool"}
    return frame.astype({column: types.get(column, "float64") for column in METRICS.names})


def _score_ticker(rows: pa.Table, scale: float) -> Iterator[tuple[str, int, tuple[float, ...]]]:
    """Scores of one ticker: (model, step, (n, mae, rmse, mape, mase, crps, coverages, dm_p_value))."""
    codes, names = pd.factorize(rows["model"].to_numpy())
    models = sorted(names, key=lambda name: (name != "lstm", name))
    model = np.array([models.index(name) for name in names], dtype=np.int64)[codes]
    step, when = rows["step"].to_numpy(), _days(rows["cutoff"]) * 1_000_000 + _days(rows["target_date"])
    at = np.lexsort([when, model, step])
    step, model, when = step[at], model[at], when[at]
    actual, forecast = (rows[name].to_numpy()[at].astype(np.float64) for name in ("actual", "forecast"))
    quantiles = np.empty((len(at), len(QUANTILE_COLUMNS)))
    for place, name in enumerate(QUANTILE_COLUMNS):
        quantiles[:, place] = rows[name].to_numpy()[at]
    loss = crps(actual, quantiles)

    starts = np.flatnonzero(np.diff(step, prepend=-1) | np.diff(model, prepend=-1))
    # All groups at once: the rows' own scores, summed from each start to the next.
    each = _row_scores(actual, forecast, quantiles, loss)
    counts = np.diff([*starts, len(at)])
    means = np.add.reduceat(each, starts, axis=0) / counts[:, None]
    spans = {
        (int(step[start]), models[model[start]]): slice(int(start), int(start + count))
        for start, count in zip(starts, counts, strict=True)
    }
    for ((ahead, name), span), mean in zip(spans.items(), means.tolist(), strict=True):
        error, squared, relative, score, *covered = mean
        base = None if name == REFERENCE else spans.get((ahead, REFERENCE))
        p_value = _NAN if base is None else _paired_test(loss, when, span, base, ahead)
        count = span.stop - span.start
        yield name, ahead, (count, error, squared**0.5, relative, mase(error, scale), score, *covered, p_value)


def _row_scores(actual: Array, forecast: Array, quantiles: Array, loss: Array) -> Array:
    """Absolute, squared and relative error, CRPS, and whether each central interval holds, per row ``(rows, 7)``."""
    error = np.abs(actual - forecast)
    held = [
        (quantiles[:, low] <= actual) & (actual <= quantiles[:, high])
        for low, high in (CENTRAL[central] for central in (0.5, 0.8, 0.9))
    ]
    return np.column_stack([error, np.square(error), error / np.abs(actual), loss, *held])


def _paired_test(loss: Array, when: NDArray[np.int64], span: slice, base: slice, horizon: int) -> float:
    """Diebold-Mariano on the rows that two models share; ``when`` numbers their (cutoff, target_date)."""
    if np.array_equal(when[span], when[base]):
        return diebold_mariano(loss[span], loss[base], horizon)
    _, own, other = np.intersect1d(when[span], when[base], assume_unique=True, return_indices=True)
    return diebold_mariano(loss[span][own], loss[base][other], horizon)


def _days(dates: pa.ChunkedArray) -> NDArray[np.int64]:
    """Days since 1970 of dates or timestamps."""
    return np.asarray(dates.to_numpy(), dtype="datetime64[D]").astype(np.int64)
