"""A run before it is written: the results of its shards, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd
import pyarrow as pa

from forecasting.calendar_fit import calendar_findings
from forecasting.config import ForecastConfig
from forecasting.errors import InputError
from forecasting.evaluation.evaluate import Evaluated
from forecasting.evaluation.heldout_summary import HeldoutSummary
from forecasting.features.series import Engineered
from forecasting.findings import Finding
from forecasting.ingest.prices import Ingested
from forecasting.model.prior import prior_findings
from forecasting.model.tutorial_report import TutorialReport
from forecasting.store.manifest import WithheldRecord
from forecasting.store.model_card import ModelFile
from forecasting.store.transaction import Draft

__all__ = ["Run", "ShardForecast", "collect"]


@dataclass(frozen=True)
class Run:
    """Everything that a run publishes, before it is written.

    Attributes
    ----------
    as_of, config
        The date of the forecasts, and the configuration.
    forecasts, metrics
        Of all tickers, with the columns of their files.
    heldout
        The held-out rows of each shard, or the draft they are already written to; None where they are not kept.
    summaries
        What the pages show of each ticker's held-out rows.
    models
        The files of weights, one per shard.
    ingested
        The input; its prices are shown in the report and hashed in the manifest.
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
    tutorial: TutorialReport | None = None


@dataclass(frozen=True)
class ShardForecast:
    """The result of one shard; all of it is small, except for the held-out rows.

    Attributes
    ----------
    evaluated
        Forecasts, scores and curves, without held-out rows.
    model
        The file of its weights.
    heldout
        Its held-out rows, or the draft they are already written to; None where they are not kept.
    summaries
        What the pages show of each ticker's held-out rows.
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
