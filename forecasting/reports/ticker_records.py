"""The data of the report's charts: a small record of each ticker, for the JSON in the page.

Prices are integers in units of a ticker's last written decimal, and mostly differences from another number; lists of
dates are shared by tickers. That keeps a page of two thousand tickers under three megabytes. ``templates/ticker.js``
reads the records, and its function ``read`` names every field.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from forecasting.evaluation.heldout_summary import DRAWN, Calibration
from forecasting.evaluation.metrics import REFERENCE
from forecasting.formatting import decimals_for, printable
from forecasting.reports.figures import calibration_spec

__all__ = ["DRAWN_SESSIONS", "TickerRows", "ticker_records"]

DRAWN_SESSIONS = 60
"""Sessions of history in a chart."""

DETAILED = 300
"""Up to this number of tickers, a record also has every step's scores, the calibration and the training."""

TARGETS, FEWEST_TARGETS, ALL_TARGETS = DRAWN, 30, 30_000
"""Held-out forecasts that are drawn: of a ticker at most and at least (else none), and of all tickers together."""

EPOCHS = 60
"""Epochs in a chart of the training."""

_BANDS = ("q05", "q10", "q25", "q50", "q75", "q90", "q95")
_HELDOUT = {"l": "q10", "m": "q50", "h": "q90"}
_PRICES = ("mae", "rmse", "crps")
_COLUMNS = ("crps", "mae", "rmse", "mape", "mase", "coverage_50", "coverage_80", "coverage_90", "dm_p_value")
_FEW_COLUMNS = ("crps", "mae", "mase", "coverage_80", "dm_p_value")
_DECIMALS = 4
"""Of scores that are not prices."""

Units = list[int | None]
Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class TickerRows:
    """One ticker's rows of each table of a run, in order, as columns.

    ``heldout`` and ``calibration`` are only of what is published. They are arrays because data frames are slow: an
    operation takes a tenth of a millisecond, and there are a hundred operations for each of thousands of tickers.
    """

    ticker: str
    prices: Columns
    forecasts: Columns
    metrics: Columns
    heldout: Columns
    calibration: Calibration
    curves: Columns


_Kept = dict[Any, int]


@dataclass(slots=True)
class _Shared:
    """Values that records share: each is kept once, and a record has its index."""

    scored: _Kept = field(default_factory=dict)
    steps: _Kept = field(default_factory=dict)
    models: _Kept = field(default_factory=dict)
    reasons: _Kept = field(default_factory=dict)
    dates: _Kept = field(default_factory=dict)

    def place(self, values: _Kept, value: Hashable) -> int:
        return values.setdefault(value, len(values))

    def dates_of(self, values: ArrayLike) -> int:
        """Keep dates as days since 1970: the first, then the differences from one to the next."""
        days = np.asarray(values, dtype="datetime64[D]").astype(np.int64)
        return self.place(self.dates, tuple(np.diff(days, prepend=0).tolist()))


def ticker_records(tickers: Iterable[TickerRows | None], amount: int) -> dict[str, Any]:
    """Make the records of all tickers.

    Parameters
    ----------
    tickers
        In the order of the page's table, None for one without charts; consumed one by one.
    amount
        How many there are; with many, each record has less in it.

    Returns
    -------
    dict
        The data that the page's script reads: ``tickers``, and the lists that they refer to by index: ``dates``;
        ``steps``, ``models`` and ``reasons`` of what is published; ``scored`` (models) and ``columns`` of the scores.
    """
    detailed = amount <= DETAILED
    targets = min(TARGETS, ALL_TARGETS // max(1, amount))
    targets = targets if targets >= FEWEST_TARGETS else 0
    shared = _Shared()
    columns = _COLUMNS if detailed else _FEW_COLUMNS
    return {
        "tickers": [rows and _record(rows, shared, columns, targets, detailed) for rows in tickers],
        "dates": list(shared.dates),
        "steps": list(shared.steps),
        "models": [[printable(name) for name in models] for models in shared.models],
        "reasons": [[printable(reason, 300) for reason in reasons] for reasons in shared.reasons],
        "scored": [printable(name) for name in shared.scored],
        "columns": columns,
        "decimals": _DECIMALS,
        "reference": REFERENCE,
    }


def _record(
    rows: TickerRows, shared: _Shared, columns: tuple[str, ...], targets: int, detailed: bool
) -> dict[str, Any]:
    forecasts, prices = rows.forecasts, rows.prices
    anchor = float(forecasts["anchor_price"][0])
    decimals = decimals_for(anchor)
    unit = 10.0**decimals
    opens = _units(prices["open"], unit)
    start = _units([anchor], unit)[0] or 0
    bands = np.stack([forecasts[name] for name in _BANDS], axis=-1)
    record = {
        "n": printable(rows.ticker, 300),
        "d": decimals,
        "c": str(forecasts["anchor"][0]).capitalize(),
        "a": start,
        "u": shared.dates_of(forecasts["cutoff"][:1]),
        "p": shared.dates_of(prices["date"]),
        "o": _differences(opens),
        "h": _apart(_units(prices["high"], unit), opens),
        "l": _apart(opens, _units(prices["low"], unit)),
        "s": shared.place(shared.steps, tuple(forecasts["step"].tolist())),
        "t": shared.dates_of(forecasts["target_date"]),
        "q": [_apart(_units(row, unit), [start] * len(_BANDS)) for row in bands],
        "v": _units(forecasts["forecast"] / forecasts["anchor_price"] - 1, 1e5),
        "m": shared.place(shared.models, tuple(forecasts["model"].tolist())),
        "w": shared.place(shared.reasons, tuple(forecasts["reason"].tolist())),
        "r": _scores(rows.metrics, shared, columns, unit, detailed),
    }
    record |= _heldout(rows.heldout, int(forecasts["step"][0]), targets, shared, unit)
    if detailed and rows.calibration.rows:
        record["k"] = calibration_spec(rows.calibration)
    if detailed and np.isfinite(rows.curves["train_loss"].astype(float)).any():
        record["g"] = _training(rows.curves)
    return record


def _heldout(heldout: Columns, step: int, targets: int, shared: _Shared, unit: float) -> dict[str, Any]:
    """Give the newest held-out forecasts of a step; an empty record where there are none."""
    places = np.flatnonzero(heldout["step"] == step)[-targets:] if targets else np.empty(0, dtype=int)
    if not len(places):
        return {}
    actuals = _units(heldout["actual"][places], unit)
    bands = {key: _apart(_units(heldout[name][places], unit), actuals) for key, name in _HELDOUT.items()}
    dates = shared.dates_of(heldout["target_date"][places])
    return {"e": {"s": step, "p": dates, "y": _differences(actuals), **bands}}


def _scores(metrics: Columns, shared: _Shared, columns: Sequence[str], unit: float, detailed: bool) -> list[list[Any]]:
    """Give a list for each step: the step, its sessions, and each model's index, whether it is published, scores."""
    scores = zip(
        *(_units(metrics[name], 10 * unit if name in _PRICES else 10.0**_DECIMALS) for name in columns), strict=True
    )
    steps: dict[int, list[Any]] = {}
    for place, row in enumerate(scores):
        step = int(metrics["step"][place])
        model = shared.place(shared.scored, metrics["model"][place])
        steps.setdefault(step, [step, int(metrics["n"][place])]).append([model, int(metrics["chosen"][place]), *row])
    return list(steps.values()) if detailed else list(steps.values())[:1]


def _training(curves: Columns) -> dict[str, Any]:
    """Give the losses over the epochs, the mean of the members, and the epochs whose weights were kept."""
    fit = curves["phase"] == "fit" if (curves["phase"] == "fit").any() else np.ones(len(curves["phase"]), dtype=bool)
    epoch, member = curves["epoch"][fit], curves["member"][fit]
    epochs, members = np.unique(epoch), np.unique(member)
    losses = {}
    for name in ("train_loss", "validation_loss"):
        by_member = np.full((len(epochs), len(members)), np.nan)
        by_member[np.searchsorted(epochs, epoch), np.searchsorted(members, member)] = curves[name][fit]
        # Members end at different epochs, where the mean of the remaining ones would jump: it is NaN there.
        losses[name] = by_member.mean(axis=1)
    drawn = np.flatnonzero(np.isfinite(losses["train_loss"]))
    drawn = drawn[:: -(-max(1, len(drawn)) // EPOCHS)]
    return {
        "members": len(members),
        "epochs": epochs[drawn].tolist(),
        "train": [_short(loss) for loss in losses["train_loss"][drawn].tolist()],
        "validation": [_short(loss) for loss in losses["validation_loss"][drawn].tolist()],
        "kept": np.unique(epoch[curves["best"][fit].astype(bool)]).tolist(),
    }


def _short(loss: float) -> float | None:
    return float(f"{loss:.4g}") if np.isfinite(loss) else None


def _units(values: ArrayLike, unit: float) -> Units:
    scaled = np.rint(np.asarray(values, dtype=np.float64) * unit)
    return [int(one) if finite else None for one, finite in zip(scaled.tolist(), np.isfinite(scaled), strict=True)]


def _apart(values: Units, others: Units) -> Units:
    return [None if a is None or b is None else a - b for a, b in zip(values, others, strict=True)]


def _differences(values: Units) -> Units:
    """Give the first value, then each value's difference from the one before; missing values give 0."""
    last, steps = 0, Units()
    for value in values:
        steps.append(0 if value is None else value - last)
        last = last if value is None else value
    return steps
