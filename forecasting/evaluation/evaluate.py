"""Evaluate a trained shard: every model on the same held-out rows, calibrated, scored, and one chosen to publish.

What is judged never sees what it is judged on: validation rows are forecast by weights fitted before them, test rows
by weights fitted before those, and quantiles are calibrated on targets known at their cutoff alone. The choice of
what is published is made on validation rows and merely reported on test rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.config import LEVELS, ForecastConfig
from forecasting.evaluation.baselines import BASELINES, Baseline, baseline_quantiles, origin
from forecasting.evaluation.calibration import Correction, calibrate, no_correction
from forecasting.evaluation.frames import curves_frame, forecasts_frame, heldout_tables
from forecasting.evaluation.metrics import score_heldout
from forecasting.features.series import TickerSeries
from forecasting.features.windows import Windows
from forecasting.findings import Finding
from forecasting.model.inference import predict
from forecasting.model.training import Trained
from forecasting.model.tutorial import STEP, TutorialFit, tutorial_report
from forecasting.model.tutorial_report import TutorialReport

__all__ = ["Candidate", "Choice", "Evaluated", "candidates", "choose", "evaluate"]

Array = NDArray[np.float64]

CALIBRATED = ("lstm", "ewma_range")
"""Models whose quantiles are conformalised. ``persistence`` and ``last_close`` are empirical quantiles of all past
errors already, and stay as they are defined, so that scores beside them mean the same everywhere."""


CHANGE_BOUND = 30.0
"""Quantiles of the change of log price are held within plus and minus this, beyond what any market has seen, so that a
forecast run wild is still a number that can be written (as float32, too) and scored."""


@dataclass(frozen=True)
class Candidate:
    """One model's forecasts of a shard, as they would be published.

    Attributes
    ----------
    origin
        ``(tickers, cutoffs)``: log price that its changes are counted from, on the last row's basis.
    change
        ``(tickers, cutoffs, horizon, 19)``: calibrated quantiles of the change of log price; NaN where there is none.
    correction
        What calibration does to the newest cutoff's forecast; nothing where the model is not calibrated.
    """

    model: str
    origin: Array
    change: Array
    correction: Correction


@dataclass(frozen=True, slots=True)
class Choice:
    """What is published of one ticker and step, and why it is not a fresh LSTM's when it is not."""

    model: str
    reason: str | None


@dataclass(frozen=True)
class Evaluated:
    """What a shard gives to the store and the report; frames have the columns of the files they are written to.

    Attributes
    ----------
    heldout
        Each ticker's held-out rows; see `forecasting.schemas`.
    metrics, forecasts
        See `forecasting.schemas`.
    curves
        Training and validation losses: ticker, member, phase, epoch, train_loss, validation_loss, best.
    scales
        Mean absolute one-step change of Open over each ticker's training rows, in the unit of its last row.
    correction
        What calibration does to the newest forecast of each of the shard's LSTMs.
    findings
        Held-out rows left out because a split lies between their cutoff and their target.
    tutorial
        What the tutorial preset measured; None for the default preset.
    """

    heldout: Mapping[str, pa.Table]
    metrics: pd.DataFrame
    forecasts: pd.DataFrame
    curves: pd.DataFrame
    scales: Mapping[str, float]
    correction: Correction
    findings: tuple[Finding, ...]
    tutorial: TutorialReport | None = None


def evaluate(windows: Windows, trained: Trained, config: ForecastConfig) -> Evaluated:
    """Forecast validation, test and the sessions to come with every model; score, choose and lay out as tables."""
    if trained.tutorial:
        return _evaluate_tutorial(windows, trained.tutorial, config)
    start = first_judged(windows)
    models = candidates(windows, trained, config, start)
    choices = choose(windows, models, trained.without, config, start)
    heldout = heldout_tables(windows, models, start, windows.pairs("test"))
    rows = pa.concat_tables(heldout.values()).to_pandas(date_as_object=False, strings_to_categorical=True)
    scales = {one.ticker: _scale(one, windows, k) for k, one in enumerate(windows.series)}
    chosen = [
        (one.ticker, step, choice.model)
        for one, row in zip(windows.series, choices, strict=True)
        for step, choice in enumerate(row, start=1)
    ]
    lstm = next(candidate for candidate in models if candidate.model == "lstm")
    return Evaluated(
        heldout=heldout,
        metrics=score_heldout(rows, scales, chosen),
        forecasts=forecasts_frame(windows, models, choices, config),
        curves=curves_frame(trained.curves),
        scales=scales,
        correction=lstm.correction,
        findings=_split_findings(windows),
    )


def first_judged(windows: Windows) -> int:
    """Position of the first cutoff that any ticker of the shard is judged from; the newest, if there is none."""
    return min(int(windows.first_judged.min()), windows.time - 1)


def candidates(windows: Windows, trained: Trained, config: ForecastConfig, start: int) -> tuple[Candidate, ...]:
    """Forecast every step from every cutoff at position ``start`` or later with each model."""
    # A ticker's calibration starts with its own first judged cutoff, whatever the shard's others need.
    own = (np.arange(start, windows.time) >= windows.first_judged[:, None])[:, :, None]
    known = np.where(own, windows.log_anchor[:, start:, None] + windows.targets[:, start:], np.nan)
    found = []
    for model in ("lstm", *BASELINES):
        if model == "lstm":
            base, raw = windows.log_anchor, lstm_quantiles(windows, trained, config, start)
        else:
            baseline: Baseline = model  # type: ignore[assignment]
            base, raw = origin(windows, baseline), baseline_quantiles(windows, baseline, start)
        correction = no_correction(len(windows.series), windows.horizon)
        if model in CALIBRATED:
            raw, correction = calibrate(raw, known - base[:, start:, None])
        found.append(Candidate(model, base[:, start:], np.clip(raw, -CHANGE_BOUND, CHANGE_BOUND), correction))
    return tuple(found)


def lstm_quantiles(windows: Windows, trained: Trained, config: ForecastConfig, start: int) -> Array:
    """Give the LSTM's quantiles from each cutoff by the weights that had not seen what comes after it.

    Validation cutoffs by the weights of the training rows, test cutoffs by those of all rows before the test, and the
    newest by those of all rows.
    """
    cutoff = np.arange(start, windows.time)
    in_test = (cutoff[None, :] + 1 >= windows.test_start[:, None])[:, :, None, None]
    before = predict(trained.fits["train"], windows, config, start)
    during = predict(trained.fits["before_test"], windows, config, start)
    out = np.where(in_test, during, before)
    out[:, -1:] = predict(trained.fits["all"], windows, config, windows.time - 1)
    without = [one.ticker in trained.without for one in windows.series]
    out[without] = np.nan
    return out


def choose(
    windows: Windows,
    models: tuple[Candidate, ...],
    without: Mapping[str, str],
    config: ForecastConfig,
    start: int,
) -> tuple[tuple[Choice, ...], ...]:
    """Choose, for each ticker and step, what is published: the best on validation rows by mean pinball loss.

    The LSTM is published only when it beats the best baseline, and where no row is there to judge by, it is not;
    ``--anchor open`` leaves ``last_close`` out.
    """
    known = windows.log_anchor[:, start:, None] + windows.targets[:, start:]
    judged = windows.pairs("validation")[:, start:]
    losses = {one.model: _mean_loss(one, known, judged) for one in models}
    if config.anchor == "open":
        del losses["last_close"]
    rows = []
    for k, series in enumerate(windows.series):
        row = []
        for step in range(windows.horizon):
            scores = {model: loss[k, step] for model, loss in losses.items() if np.isfinite(loss[k, step])}
            usable = [one.model for one in models if one.model in losses and np.isfinite(one.change[k, -1, step]).all()]
            if "lstm" not in scores:
                usable = [model for model in usable if model != "lstm"]
            # Where it is as good as a baseline, the LSTM has not beaten it; where nothing is known, the last price is.
            plain = "last_close" if series.anchor == "close" else "persistence"
            ranked = sorted(usable, key=lambda model: (scores.get(model, np.inf), model == "lstm", model != plain))
            best = ranked[0] if ranked else "persistence"
            lost = "lost on validation" if scores else "no validation rows"
            row.append(Choice(best, _reason(series, best, without.get(series.ticker, lost))))
        rows.append(tuple(row))
    return tuple(rows)


def _reason(series: TickerSeries, model: str, why_no_lstm: str) -> str | None:
    reasons = ["stale"] if series.stale else []
    if model != "lstm":
        reasons.append(why_no_lstm)
    return "; ".join(reasons) or None


def _mean_loss(candidate: Candidate, known: Array, judged: NDArray[np.bool_]) -> Array:
    """Mean pinball loss ``(tickers, horizon)`` of log prices over the rows judged; NaN where a row has no forecast."""
    levels = np.array(LEVELS)
    error = (known - candidate.origin[:, :, None])[..., None] - candidate.change
    loss = np.maximum(levels * error, (levels - 1) * error).mean(axis=3)
    counts = judged.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Array = np.where(judged, loss, 0.0).sum(axis=1) / counts
    return mean


def _scale(series: TickerSeries, windows: Windows, k: int) -> float:
    """Mean absolute one-step change of Open over training rows; NaN where the test rows are not all in its unit."""
    rows = int(windows.validation_start[k] - windows.first[k])
    if len(np.unique(series.factor[int(windows.test_start[k] - windows.first[k]) - 1 :])) > 1:
        return float("nan")
    changes = np.abs(np.diff((series.open * series.factor)[:rows]))
    return float(changes.mean()) if len(changes) else float("nan")


def _split_findings(windows: Windows) -> tuple[Finding, ...]:
    crossed = (windows.pairs("test") & ~windows.same_unit).sum(axis=(1, 2))
    return tuple(
        Finding(
            one.ticker,
            "split",
            f"{one.ticker}: {count} held-out forecasts have a split between cutoff and target and are not scored; the "
            "others are in the units of their own days, so that there is no MASE",
        )
        for one, count in zip(windows.series, crossed, strict=True)
        if count
    )


def _evaluate_tutorial(windows: Windows, fits: Mapping[str, TutorialFit], config: ForecastConfig) -> Evaluated:
    """Lay out the tutorial preset's forecasts beside the baselines on its own test targets: one step, which is 2.

    Its quantiles are its point forecast plus the quantiles of its training residuals; it is published as it is.
    """
    tests = np.array([len(fits[one.ticker].truth) for one in windows.series])
    position = np.arange(windows.time)[None, :]
    judged = np.zeros(windows.targets.shape, dtype=bool)
    judged[:, :, STEP - 1] = (position >= (windows.time - STEP - tests)[:, None]) & (position < windows.time - STEP)
    start = int((windows.time - STEP - tests).min())
    change = np.full((len(tests), windows.time - start, windows.horizon, len(LEVELS)), np.nan)
    for k, one in enumerate(windows.series):
        fit, spread = fits[one.ticker], np.quantile(fits[one.ticker].residuals, LEVELS)
        point = np.append(fit.pictures[max(fit.pictures)], fit.newest)
        at = np.append(np.flatnonzero(judged[k, :, STEP - 1]), windows.time - 1)
        # In the file's prices, then as changes of log price on the last row's basis; a price is positive, whatever an
        # untrained model says.
        prices = np.maximum(point[:, None] + spread, np.finfo(np.float32).tiny)
        factor = one.factor[at - windows.first[k], None]
        change[k, at - start, STEP - 1] = np.log(prices * factor) - windows.log_open[k, at, None]
    none = no_correction(len(tests), windows.horizon)
    models = (
        Candidate("lstm", windows.log_open[:, start:], change, none),
        *(
            Candidate(name, origin(windows, name)[:, start:], baseline_quantiles(windows, name, start), none)
            for name in BASELINES
        ),
    )
    heldout = heldout_tables(windows, models, start, judged)
    rows = pa.concat_tables(heldout.values()).to_pandas(date_as_object=False, strings_to_categorical=True)
    scales = {one.ticker: _scale(one, windows, k) for k, one in enumerate(windows.series)}
    choices = [[*[None] * (STEP - 1), Choice("lstm", None)]] * len(tests)
    return Evaluated(
        heldout=heldout,
        metrics=score_heldout(rows, scales, [(one.ticker, STEP, "lstm") for one in windows.series]),
        forecasts=forecasts_frame(windows, models, choices, config),
        curves=curves_frame(()),
        scales=scales,
        correction=none,
        findings=(),
        tutorial=tutorial_report(windows.series[0], fits[windows.series[0].ticker]),
    )
