"""Evaluate a trained shard: every model on the same held-out rows, calibrated, scored, and what is published.

No forecast uses rows that it is judged on: validation rows are forecast with weights fitted before them, test rows with
weights fitted before those, and quantiles are calibrated only on targets known at their cutoff.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from forecasting.arrays import Array
from forecasting.config import LEVELS, ForecastConfig
from forecasting.evaluation.baselines import BASELINES, baseline_quantiles, origin, standardised_quantiles
from forecasting.evaluation.candidates import Candidate, Choice, choose, first_judged, make_candidates
from forecasting.evaluation.frames import curves_frame, forecasts_frame, heldout_tables
from forecasting.evaluation.metrics import score_heldout
from forecasting.evaluation.scoring_rules import mase_scale
from forecasting.features.series import TickerSeries
from forecasting.features.windows import Windows
from forecasting.findings import Finding
from forecasting.model.inference import lstm_quantiles
from forecasting.model.prior import har_coefficients, load_prior, unseen
from forecasting.model.training import Trained
from forecasting.model.tutorial import STEP, TutorialFit, tutorial_report
from forecasting.model.tutorial_report import TutorialReport

__all__ = ["Evaluated", "evaluate"]


@dataclass(frozen=True)
class Evaluated:
    """The results of a shard for the store and the report; frames have the columns of their files.

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
    constants
        Other numbers of a saved model, by tensor name, tickers first: the calibration's widths, and HAR's coefficients
        and standardised quantiles at the newest cutoff.
    findings
        Held-out rows left out because there is a split between cutoff and target; tickers that are scored on rows that
        the prior has seen.
    tutorial
        The results of the tutorial preset; None for the default preset.
    """

    heldout: Mapping[str, pa.Table]
    metrics: pd.DataFrame
    forecasts: pd.DataFrame
    curves: pd.DataFrame
    scales: Mapping[str, float]
    constants: Mapping[str, Array]
    findings: tuple[Finding, ...]
    tutorial: TutorialReport | None = None


def evaluate(windows: Windows, trained: Trained, config: ForecastConfig) -> Evaluated:
    """Forecast validation, test and the next sessions with every model; score, choose, and make the tables."""
    if trained.tutorial:
        return _evaluate_tutorial(windows, trained.tutorial, config)
    start = first_judged(windows)
    models = make_candidates(windows, lstm_quantiles(windows, trained, config, start), start)
    choices = choose(windows, models, trained.skip_reasons, config, start)
    heldout = heldout_tables(windows, models, start, windows.pairs("test"))
    scales = {one.ticker: _training_scale(one, windows, k) for k, one in enumerate(windows.series)}
    chosen = [
        (one.ticker, step, choice.model)
        for one, row in zip(windows.series, choices, strict=True)
        for step, choice in enumerate(row, start=1)
    ]
    return Evaluated(
        heldout=heldout,
        metrics=score_heldout(heldout, scales, chosen),
        forecasts=forecasts_frame(windows, models, choices, config),
        curves=curves_frame(trained.curves),
        scales=scales,
        constants=_constants(windows, models),
        findings=(*_split_findings(windows), *_prior_findings(windows, config)),
    )


def _constants(windows: Windows, models: Sequence[Candidate]) -> dict[str, Array]:
    widths = {f"calibration.{one.model}": one.width for one in models if one.model in ("lstm", "combination")}
    return {
        **widths,
        "har.coefficients": har_coefficients(windows),
        "har.quantiles": standardised_quantiles(windows, "har", windows.time - 1)[:, 0],
    }


def _training_scale(series: TickerSeries, windows: Windows, k: int) -> float:
    """Mean absolute one-step change of Open over training rows; NaN where the test rows are not all in its unit."""
    rows = int(windows.validation_start[k] - windows.first[k])
    if len(np.unique(series.factor[int(windows.test_start[k] - windows.first[k]) - 1 :])) > 1:
        return float("nan")
    return mase_scale((series.open * series.factor)[:rows])


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


def _prior_findings(windows: Windows, config: ForecastConfig) -> Iterator[Finding]:
    """Report tickers whose held-out rows begin before the end of the earliest constants fitted on the sample."""
    for one, place in zip(windows.series, unseen(windows), strict=True):
        if place < 0:
            what = "HAR's coefficients" if config.prior == "none" else "the LSTM's prior and HAR's coefficients"
            yield Finding(
                one.ticker,
                "prior",
                f"{one.ticker}: its held-out rows begin before {load_prior().cuts[0]}, up to which {what} have seen "
                "other tickers' prices; its scores may be too good",
            )


def _evaluate_tutorial(windows: Windows, fits: Mapping[str, TutorialFit], config: ForecastConfig) -> Evaluated:
    """Score the tutorial preset's forecasts and the baselines on the tutorial's test targets: one step, which is 2.

    Its quantiles are its point forecast plus the quantiles of its training residuals; they are not calibrated.
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
        # In the file's prices, then as changes of log price on the last row's basis; a price is positive, even if an
        # untrained model's forecast is not.
        prices = np.maximum(point[:, None] + spread, np.finfo(np.float32).tiny)
        factor = one.factor[at - windows.first[k], None]
        change[k, at - start, STEP - 1] = np.log(prices * factor) - windows.log_open[k, at, None]
    plain = np.ones((len(tests), windows.horizon))
    models = (
        Candidate("lstm", windows.log_open[:, start:], change, plain),
        *(
            Candidate(name, origin(windows, name)[:, start:], baseline_quantiles(windows, name, start), plain)
            for name in BASELINES
            if name != "har"  # which did not exist when the preset was fixed
        ),
    )
    heldout = heldout_tables(windows, models, start, judged)
    scales = {one.ticker: _training_scale(one, windows, k) for k, one in enumerate(windows.series)}
    choices = [[*[None] * (STEP - 1), Choice("lstm", None)]] * len(tests)
    return Evaluated(
        heldout=heldout,
        metrics=score_heldout(heldout, scales, [(one.ticker, STEP, "lstm") for one in windows.series]),
        forecasts=forecasts_frame(windows, models, choices, config),
        curves=curves_frame(()),
        scales=scales,
        constants={"calibration.lstm": plain},
        findings=(),
        tutorial=tutorial_report(windows.series[0], fits[windows.series[0].ticker]),
    )
