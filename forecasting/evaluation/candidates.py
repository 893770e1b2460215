"""Every model's forecasts of a shard as they would be published, and the choice of what is published.

``combination`` is the mean of the LSTM's and HAR's quantiles (Vincent averaging; Lichtendahl, Grushka-Cockayne and
Winkler 2013, Management Science 59, 1594-1611), calibrated after averaging. An equal-weight mean is published because
choosing per ticker on some hundred validation rows is mostly noise (the forecast combination puzzle; Claeskens, Magnus,
Vasnev and Wang 2016, International Journal of Forecasting 32, 754-762).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.arrays import Array
from forecasting.config import LEVELS, ForecastConfig, Reason
from forecasting.evaluation.baselines import BASELINES, baseline_quantiles, origin
from forecasting.evaluation.calibration import calibrating_widths, widen
from forecasting.evaluation.metrics import WITH_LSTM
from forecasting.features.series import TickerSeries
from forecasting.features.windows import Windows

__all__ = ["CALIBRATED", "MODELS", "Candidate", "Choice", "choose", "first_judged", "make_candidates", "within_bounds"]

MODELS = ("lstm", "combination", "har", "ewma_range", "last_close", "persistence")
"""Every model, in the order in which one is preferred to the next when they are equally good."""

CALIBRATED = MODELS[:4]
"""Models whose quantiles are calibrated. ``persistence`` and ``last_close`` are the empirical quantiles of all past
errors, and stay so, so that scores relative to them mean the same everywhere."""

CHANGE_BOUND = 30.0
"""Quantiles of the change of log price are clipped to plus and minus this, more than any market has seen, so that an
exploding forecast is still a number that can be written (as float32, too) and scored."""


@dataclass(frozen=True)
class Candidate:
    """One model's forecasts of a shard, as they would be published.

    Attributes
    ----------
    origin
        ``(tickers, cutoffs)``: log price that its changes are counted from, on the last row's basis.
    change
        ``(tickers, cutoffs, horizon, 19)``: calibrated quantiles of the change of log price; NaN where there is none.
    width
        ``(tickers, horizon)``: what calibration multiplies the width of the newest cutoff's forecast by.
    """

    model: str
    origin: Array
    change: Array
    width: Array


@dataclass(frozen=True, slots=True)
class Choice:
    """The model that is published for one ticker and step, and why it is not a fresh LSTM, if it is not."""

    model: str
    reason: str | None


def first_judged(windows: Windows) -> int:
    """Position of the first cutoff that any ticker of the shard is judged from; the newest, if there is none."""
    return min(int(windows.first_judged.min()), windows.time - 1)


def within_bounds(change: Array, out: Array | None = None) -> Array:
    """Clip quantiles of the change of log price to `CHANGE_BOUND`, into ``out`` or a new array."""
    return np.clip(change, -CHANGE_BOUND, CHANGE_BOUND, out=out)


def make_candidates(windows: Windows, lstm: Array, start: int) -> tuple[Candidate, ...]:
    """Forecast every step from every cutoff at position ``start`` or later with each model.

    Parameters
    ----------
    windows
        The shard.
    lstm
        The LSTM's quantiles ``(tickers, cutoffs, horizon, 19)`` of the change from the anchor, each by weights that had
        not seen what came after; NaN for tickers without one.
    start
        Position of the first cutoff.
    """
    change = {"lstm": within_bounds(lstm)}
    change |= {baseline: baseline_quantiles(windows, baseline, start) for baseline in BASELINES}
    change["combination"] = (change["lstm"] + change["har"]) / 2
    # A ticker's calibration starts with its own first judged cutoff, whatever the shard's others need.
    own = (np.arange(start, windows.time) >= windows.first_judged[:, None])[:, :, None]
    known = np.where(own, windows.targets[:, start:], np.nan)
    newest = dict.fromkeys(MODELS, np.ones((len(windows.series), windows.horizon)))
    for model in CALIBRATED:  # they all start from the anchor, as the targets do
        widths = calibrating_widths(change[model], known)
        widen(change[model], widths, out=change[model])
        newest[model] = widths[:, -1]
    return tuple(
        Candidate(
            model,
            origin(windows, model)[:, start:],
            within_bounds(change[model], out=change[model]),
            newest[model],
        )
        for model in MODELS
    )


def choose(
    windows: Windows,
    models: Sequence[Candidate],
    skip_reasons: Mapping[str, Reason],
    config: ForecastConfig,
    start: int,
) -> tuple[tuple[Choice, ...], ...]:
    """Choose the model that is published, for each ticker and step.

    It is that of ``config.publish`` where the ticker has an LSTM; else HAR, else ``ewma_range``, else the last price,
    with the reason. ``best`` is the model with the smallest mean pinball loss on validation rows, and the fallback
    where there are none; with ``--anchor open``, ``last_close`` is not used.
    """
    by_name = {one.model: one for one in models}
    losses = _validation_losses(windows, models, start) if config.publish == "best" else {}
    rows = []
    for k, series in enumerate(windows.series):
        last_price = "persistence" if config.anchor == "open" or series.close is None else "last_close"
        skipped = skip_reasons.get(series.ticker)
        row = []
        for step in range(windows.horizon):
            wanted: list[str] = [config.publish] if config.publish != "best" and skipped is None else []
            reason = skipped or Reason.NOT_CONVERGED
            if config.publish == "best":
                scores = {name: float(loss[k, step]) for name, loss in losses.items() if np.isfinite(loss[k, step])}
                wanted = _ranked(scores, last_price)
                reason = skipped or (Reason.LOST if scores else Reason.NOT_JUDGED)
            order = (*wanted, "har", "ewma_range", last_price)
            usable = (
                name for name in order if name in by_name and np.isfinite(by_name[name].change[k, -1, step]).all()
            )
            row.append(_chosen(next(usable, "persistence"), series, reason, config))
        rows.append(tuple(row))
    return tuple(rows)


def _ranked(scores: Mapping[str, float], last_price: str) -> list[str]:
    """Order models by their loss; with equal losses a baseline comes before the LSTM."""
    known = [name for name in scores if name != "last_close" or last_price == name]
    return sorted(known, key=lambda name: (scores[name], name in WITH_LSTM, name != last_price, MODELS.index(name)))


def _chosen(model: str, series: TickerSeries, why_no_lstm: Reason, config: ForecastConfig) -> Choice:
    reasons = [Reason.STALE] if series.stale else []
    if model not in WITH_LSTM:
        reasons.append(why_no_lstm)
    return Choice(model, "; ".join(one.text(config) for one in reasons) or None)


def _validation_losses(windows: Windows, models: Iterable[Candidate], start: int) -> dict[str, Array]:
    """Mean pinball loss ``(tickers, horizon)`` of log prices over validation rows; NaN where there is none."""
    known = windows.log_anchor[:, start:, None] + windows.targets[:, start:]
    judged = windows.pairs("validation")[:, start:]
    return {one.model: _mean_loss(one, known, judged) for one in models}


def _mean_loss(candidate: Candidate, known: Array, judged: NDArray[np.bool_]) -> Array:
    levels = np.array(LEVELS)
    error = (known - candidate.origin[:, :, None])[..., None] - candidate.change
    loss = np.maximum(levels * error, (levels - 1) * error).mean(axis=3)
    counts = judged.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Array = np.where(judged, loss, 0.0).sum(axis=1) / counts
    return mean
