"""What came of a run, for the command line, the UI and the events that automations act on alike."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

from prefect.events import emit_event
from prefect.runtime import flow_run

from forecasting.config import Reason
from forecasting.formatting import name_few, pluralize
from forecasting.publish import Run
from forecasting.reports.summary import Headline, headline, overview
from forecasting.reports.track_record import TrackRecord
from forecasting.store.store import Store
from forecasting.store.transaction import Published

__all__ = ["Outcome", "emit_events", "news"]


@dataclass(frozen=True)
class Outcome:
    """What came of a run that did not fail.

    Attributes
    ----------
    status
        ``published``; ``partial``, when some tickers could not be read or forecast; ``kept``, when what was published
        before stands and this run's forecasts are dropped; ``idle``, when there was nothing to do.
    message
        One plain sentence.
    as_of
        The date; None when idle.
    store, run, published, headline
        What was published, where; None when idle, and no run and no headline when kept: they are not what is published.
    record
        How earlier forecasts turned out; None while none has come due.
    overdue
        Whether a session that was due stays unpublished.
    """

    status: Literal["published", "partial", "kept", "idle"]
    message: str
    as_of: date | None = None
    store: Store | None = None
    run: Run | None = None
    published: Published | None = None
    headline: Headline | None = None
    record: TrackRecord | None = None
    overdue: bool = False

    @property
    def partial(self) -> bool:
        """Whether some tickers could not be read or forecast."""
        return self.status == "partial"

    @property
    def stale(self) -> bool:
        """Whether the data have no rows at all of the date."""
        return self.run is not None and self.run.forecasts["cutoff"].max() < self.run.as_of

    @property
    def missing(self) -> list[str]:
        """The tickers that were published last time and are not in the input any more."""
        return [] if self.run is None else [one.ticker for one in self.run.findings if one.kind == "missing"]

    @classmethod
    def of(cls, store: Store, run: Run, published: Published, record: TrackRecord | None = None) -> Outcome:
        """Sum up a publication."""
        said = f"{published.message[:1].upper()}{published.message[1:]}"
        if published.status == "kept":
            return cls("kept", said, run.as_of, store, published=published, record=record)
        summary = headline(overview(run.forecasts, run.metrics), len(run.withheld))
        status: Literal["published", "partial"] = "partial" if run.withheld else "published"
        outcome = cls(status, said, run.as_of, store, run, published, summary, record)
        return replace(outcome, message="; ".join([said, *_summary(outcome, run, summary)]))


def _summary(outcome: Outcome, run: Run, summary: Headline) -> Iterator[str]:
    yield f"{pluralize(summary.tickers, 'ticker')}, {summary.lstm} of {summary.forecasts:,} forecasts with the LSTM"
    if outcome.stale:
        yield f"stale: the data have no rows of {run.as_of}"
    elif summary.stale:
        yield f"{summary.stale} stale"
    reasons = run.forecasts["reason"].astype(object).fillna("")
    untrained = run.forecasts.loc[reasons.str.contains(Reason.OUT_OF_TIME, regex=False), "ticker"].nunique()
    if untrained:
        yield f"{pluralize(untrained, 'ticker')} by a baseline, the time budget being spent"
    if run.withheld:
        yield f"{len(run.withheld)} withheld"
    if outcome.missing:
        yield f"not in the input any more: {name_few(outcome.missing, 5)}"


def emit_events(outcome: Outcome) -> None:
    """Emit the events of a run, each with its facts and a link to the run."""
    if outcome.store is None:
        return
    resource = {
        "prefect.resource.id": f"forecast.store.{outcome.store.address.strip('/').replace('/', '.')}",
        "prefect.resource.name": outcome.store.address,
    }
    run = [{"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.role": "flow-run"}]
    facts = {**_facts(outcome), "url": flow_run.ui_url}
    for name, why in news(outcome):
        emit_event(name, resource=resource, related=run, payload={**facts, "message": why})


def news(outcome: Outcome) -> Iterator[tuple[str, str]]:
    """List the events of an outcome, with a sentence for each."""
    if outcome.overdue:
        yield "forecast.overdue", outcome.message
    if outcome.run is None or outcome.headline is None:
        return
    if outcome.published is None or outcome.published.status != "same":
        yield "forecast.published", outcome.message
    if outcome.stale or outcome.headline.stale:
        many = "the data have no rows of that session" if outcome.stale else f"{outcome.headline.stale} tickers lag"
        yield "forecast.stale", f"Stale as of {outcome.as_of}: {many}"
    withheld = [one.ticker or one.file or "" for one in outcome.run.withheld]
    lost = [f"withheld: {name_few(withheld, 5)}"] if withheld else []
    lost += [f"not in the input any more: {name_few(outcome.missing, 5)}"] if outcome.missing else []
    if lost:
        yield "forecast.partial", f"Partial as of {outcome.as_of}; {'; '.join(lost)}"
    if outcome.record is not None and outcome.record.health.reasons:
        yield "forecast.degraded", f"Degraded as of {outcome.as_of}: {'; '.join(outcome.record.health.reasons)}"


def _facts(outcome: Outcome) -> dict[str, Any]:
    summary = outcome.headline
    if summary is None:
        return {}
    return {
        "as_of": str(outcome.as_of),
        "tickers": summary.tickers,
        "forecasts": summary.forecasts,
        "by_lstm": summary.lstm,
        "stale": summary.stale,
        "withheld": summary.withheld,
        "missing": len(outcome.missing),
        "coverage_80": _known(summary.coverage_80),
        "crps_ratio": _known(summary.crps_ratio),
        "best_baseline_ratio": _known(summary.best_baseline_ratio),
        "health": None if outcome.record is None else outcome.record.health.status,
    }


def _known(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
