"""From arrays to the tables of the store: held-out rows, forecasts, training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.calendars import target_sessions
from forecasting.config import LEVELS, MEDIAN, QUANTILE_COLUMNS, Anchor, ForecastConfig
from forecasting.evaluation.candidates import Candidate, Choice
from forecasting.features.windows import Windows
from forecasting.model.training_loop import Curve
from forecasting.schemas import HELDOUT

__all__ = ["curves_frame", "forecasts_frame", "heldout_tables"]

ORIGINS: Mapping[str, Anchor] = {"persistence": "open", "last_close": "close"}
"""The anchors of models that do not start from the ticker's anchor."""


def heldout_tables(
    windows: Windows, models: Sequence[Candidate], start: int, judged: NDArray[np.bool_]
) -> dict[str, pa.Table]:
    """Make each ticker's table of held-out rows, with the same rows for every model.

    ``judged`` marks the pairs ``(tickers, time, horizon)``. A row with a split between cutoff and target is left out:
    its actual would be in another unit than its forecast.
    """
    usable = (judged & windows.same_unit)[:, start:]
    return {one.ticker: _heldout_of(windows, models, start, k, usable[k]) for k, one in enumerate(windows.series)}


def _heldout_of(
    windows: Windows, models: Sequence[Candidate], start: int, k: int, judged: NDArray[np.bool_]
) -> pa.Table:
    series, first = windows.series[k], int(windows.first[k])
    present = [one for one in models if np.isfinite(one.change[k, :-1][judged[:-1].any(1)]).any()]
    for one in present:
        judged = judged & np.isfinite(one.change[k, :, :, MEDIAN])
    step, at = np.nonzero(judged.T)  # step by step, each in the order of time
    row = at + start - first
    count = len(row)
    # (models, rows, 19): log price on the last row's basis, then price in the unit of the cutoff's own row.
    price = np.empty((len(present), count, len(LEVELS)))
    for one, own in zip(present, price, strict=True):
        np.add(one.origin[k, at, None], one.change[k, at, step], out=own)
    np.exp(price, out=price)
    price /= series.factor[row][:, None]
    prices = price.reshape(-1, len(LEVELS)).T.astype(np.float32, order="C")
    names = pa.array([one.model for one in present], pa.string())
    repeat = len(present)
    columns = {
        "ticker": pa.array([series.ticker], pa.string()).take(pa.array(np.zeros(repeat * count, np.int32))),
        "cutoff": pa.array(np.tile(series.dates[row], repeat)),
        "target_date": pa.array(np.tile(series.dates[row + step + 1], repeat)),
        "step": pa.array(np.tile((step + 1).astype(np.int32), repeat)),
        "model": names.take(pa.array(np.repeat(np.arange(repeat, dtype=np.int32), count))),
        "actual": pa.array(np.tile(series.open[row + step + 1], repeat)),
        "forecast": pa.array(prices[MEDIAN]),
        **{name: pa.array(column) for name, column in zip(QUANTILE_COLUMNS, prices, strict=True)},
    }
    return pa.table(columns, schema=HELDOUT)


def forecasts_frame(
    windows: Windows, models: Sequence[Candidate], choices: Sequence[Sequence[Choice | None]], config: ForecastConfig
) -> pd.DataFrame:
    """Make the table that is published: each ticker's and step's chosen forecast from its newest row, if any."""
    by_name = {one.model: one for one in models}
    records = []
    for k, series in enumerate(windows.series):
        sessions = target_sessions(config.calendar, series.cutoff, windows.horizon)
        for step, (target, choice) in enumerate(zip(sessions, choices[k], strict=True), start=1):
            if choice is None:
                continue
            chosen = by_name[choice.model]
            # The newest row is its own basis: no factor.
            prices: NDArray[np.float64] = np.exp(chosen.origin[k, -1] + chosen.change[k, -1, step - 1])
            prices = np.maximum.accumulate(prices)  # the exponential's rounding must not make quantiles cross
            start = replace(series, anchor=ORIGINS.get(choice.model, series.anchor))
            records.append(
                {
                    "ticker": series.ticker,
                    "cutoff": series.cutoff,
                    "target_date": target,
                    "step": step,
                    "model": choice.model,
                    "reason": choice.reason,
                    "anchor": start.anchor,
                    "anchor_price": float(start.anchor_price[-1]),
                    "forecast": float(prices[MEDIAN]),
                    **dict(zip(QUANTILE_COLUMNS, prices.tolist(), strict=True)),
                }
            )
    frame = pd.DataFrame.from_records(records).astype({"step": "int32", "reason": "str"})
    return frame.sort_values(["ticker", "step"], ignore_index=True)


def curves_frame(curves: Sequence[Curve]) -> pd.DataFrame:
    """Make the table of the losses of the first fit and of the last, one row per epoch."""
    phases = {"train": "fit", "all": "refit"}
    rows = [
        (curve.ticker, curve.member, phases[curve.segment], epoch, *losses, epoch == curve.best_epoch)
        for curve in curves
        if curve.segment in phases
        for epoch, losses in enumerate(zip(curve.train_loss, curve.validation_loss, strict=True), start=1)
    ]
    kinds = {"epoch": "int64", "train_loss": "float64", "validation_loss": "float64", "best": "bool"}
    return pd.DataFrame.from_records(rows, columns=["ticker", "member", "phase", *kinds]).astype(kinds)
