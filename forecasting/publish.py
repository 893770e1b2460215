"""Publish a run: all its shards' tables, models, report and manifest into the store, the forecasts last."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa

from forecasting.calendar_fit import calendar_findings
from forecasting.config import ForecastConfig
from forecasting.errors import InputError
from forecasting.evaluation.evaluate import Evaluated
from forecasting.features.series import Engineered
from forecasting.findings import Finding
from forecasting.ingest.prices import Ingested
from forecasting.model.prior import prior_findings
from forecasting.model.tutorial_report import TutorialReport
from forecasting.reports.heldout_summary import HeldoutSummary
from forecasting.reports.run_page import ReportInput, build_report
from forecasting.store.manifest import Manifest, WithheldRecord
from forecasting.store.model_card import ModelFile
from forecasting.store.store import PATIENCE, Store
from forecasting.store.transaction import Draft, Published

__all__ = ["Run", "ShardForecast", "collect", "publish", "report_input"]


@dataclass(frozen=True)
class Run:
    """Everything that a run publishes, before it is written.

    Attributes
    ----------
    as_of, config
        Of the run.
    forecasts, metrics
        Of all tickers, as their files have them.
    heldout
        The held-out rows of each shard, or where they are written already; None where they are not kept.
    summaries
        Of each ticker's held-out rows, what its pages show.
    models
        The files of weights, one a shard.
    ingested
        What was read; its prices are shown in the report and hashed in the manifest.
    findings
        Everything noticed, from reading to evaluation.
    withheld
        Tickers and files without a forecast: (ticker, file, reason).
    """

    as_of: date
    config: ForecastConfig
    forecasts: pd.DataFrame
    metrics: pd.DataFrame
    heldout: tuple[Draft | pa.Table | None, ...]
    summaries: Mapping[str, HeldoutSummary]
    curves: pd.DataFrame
    models: tuple[ModelFile, ...]
    ingested: Ingested
    findings: tuple[Finding, ...] = ()
    withheld: tuple[WithheldRecord, ...] = ()
    tutorial: TutorialReport | None = field(default=None)


@dataclass(frozen=True)
class ShardForecast:
    """What one shard gives: all of it but the held-out rows is small.

    Attributes
    ----------
    evaluated
        Forecasts, scores and curves; its held-out rows are gone.
    model
        The file of its weights.
    heldout
        Its held-out rows, or where they are written already; None where they are not kept.
    summaries
        Of each ticker's held-out rows, what its pages show.
    """

    evaluated: Evaluated
    model: ModelFile
    heldout: Draft | pa.Table | None
    summaries: Mapping[str, HeldoutSummary]


def collect(
    ingested: Ingested,
    engineered: Engineered,
    shards: Sequence[ShardForecast],
    *,
    config: ForecastConfig,
    as_of: date,
) -> Run:
    """Put the shards of a run together, in the order of tickers' names.

    Raises
    ------
    InputError
        When not one ticker can be forecast; the message has the reasons of the first few.
    """
    withheld = (
        *(WithheldRecord(ticker=one.ticker, file=one.file, reason=str(one.error)) for one in ingested.refused),
        *(WithheldRecord(ticker=one.ticker, reason=one.message) for one in engineered.withheld),
    )
    if not shards:
        reasons = "; ".join(one.reason for one in withheld[:3]) or "there are no rows"
        raise InputError(f"no ticker can be forecast: {reasons}", setting="see daily-forecast check")
    evaluated = [shard.evaluated for shard in shards]
    dates = {series.ticker: series.dates for series in engineered.series}
    return Run(
        as_of=as_of,
        config=config,
        forecasts=_together([one.forecasts for one in evaluated], ["ticker", "step"]),
        metrics=_together([one.metrics for one in evaluated], ["ticker"]),
        heldout=tuple(shard.heldout for shard in shards),
        summaries={ticker: summary for shard in shards for ticker, summary in shard.summaries.items()},
        curves=_together([one.curves for one in evaluated], ["ticker", "member"]),
        models=tuple(shard.model for shard in shards),
        ingested=ingested,
        findings=(
            *ingested.findings,
            *engineered.findings,
            *calendar_findings(dates, config.calendar),
            *prior_findings(config, as_of),
            *(finding for one in evaluated for finding in one.findings),
        ),
        withheld=withheld,
        tutorial=next((one.tutorial for one in evaluated if one.tutorial), None),
    )


def _together(frames: Sequence[pd.DataFrame], order: list[str]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)] or list(frames[:1])
    return pd.concat(filled, ignore_index=True).sort_values(order, kind="stable", ignore_index=True)


def publish(
    store: Store,
    run: Run,
    *,
    reading: Mapping[str, Any] | None = None,
    timings: Mapping[str, Any] | None = None,
    restate: bool = False,
    scored: bool | Callable[[], bool] = False,
) -> Published:
    """Write a run into the store: all of it, or nothing.

    Parameters
    ----------
    store
        Where to.
    run
        What `collect` put together.
    reading
        How the input was read (date order, decimal sign), for the manifest.
    timings
        When and how long, for the manifest; the only part that depends on the clock.
    restate, scored
        See `forecasting.store.store.Store.publication`.

    Raises
    ------
    StoreLockedError
        When another run holds the store after the wait.
    OSError
        When the disk is full, broken or read-only; what was published before is unchanged.
    """
    manifest = Manifest.of(
        run.ingested,
        run.config,
        run.as_of,
        reading=dict(reading or {}),
        findings=run.findings,
        withheld=run.withheld,
        timings=dict(timings or {}),
    )
    report = build_report(report_input(run))
    with store.publication(run.as_of, restate=restate, scored=scored, wait=PATIENCE) as publication:
        for number, rows in enumerate(run.heldout):
            if rows is not None:
                publication.heldout(number, rows)
        publication.metrics(run.metrics)
        for model in run.models:
            publication.model(model.name, model.tensors, model.card)
        publication.report(report)
        return publication.commit(run.forecasts, manifest)


def report_input(run: Run) -> ReportInput:
    """Give the report, and pictures elsewhere, what they are made from."""
    return ReportInput(
        as_of=run.as_of,
        config=run.config,
        forecasts=run.forecasts,
        heldout_of=run.summaries.__getitem__,
        metrics=run.metrics,
        prices=run.ingested.prices,
        curves=run.curves,
        findings=run.findings,
        withheld=tuple((one.ticker or one.file or "", one.reason) for one in run.withheld),
        tutorial=run.tutorial,
    )
