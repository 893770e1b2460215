"""What a run tells the world: events that automations act on (deployments/automations.yaml)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from prefect.events import emit_event
from prefect.runtime import flow_run

from flows.outcome import Outcome
from forecasting.reports.summary import Headline

__all__ = ["emit_events", "news"]


def emit_events(outcome: Outcome) -> None:
    """Emit what there is to tell of a publication; one that had nothing to do has nothing to tell."""
    if outcome.store is None or outcome.headline is None:
        return
    resource = {
        "prefect.resource.id": f"forecast.store.{outcome.store.address.strip('/').replace('/', '.')}",
        "prefect.resource.name": outcome.store.address,
    }
    run = [{"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.role": "flow-run"}]
    facts = _facts(outcome, outcome.headline)
    for name, why in news(outcome):
        emit_event(name, resource=resource, related=run, payload={**facts, "message": why})


def news(outcome: Outcome) -> Iterator[tuple[str, str]]:
    """List the events of an outcome, with a sentence for each."""
    if outcome.run is None or outcome.headline is None:
        return
    if outcome.published is None or outcome.published.status != "same":
        yield "forecast.published", outcome.message
    if outcome.stale or outcome.headline.stale:
        many = "the data have no rows of that session" if outcome.stale else f"{outcome.headline.stale} tickers lag"
        yield "forecast.stale", f"Stale as of {outcome.as_of}: {many}"
    if outcome.run.withheld:
        who = ", ".join(one.ticker or one.file or "" for one in outcome.run.withheld[:5])
        yield "forecast.partial", f"Withheld as of {outcome.as_of}: {who}"
    if outcome.record is not None and outcome.record.health.reasons:
        yield "forecast.degraded", f"Degraded as of {outcome.as_of}: {'; '.join(outcome.record.health.reasons)}"


def _facts(outcome: Outcome, summary: Headline) -> dict[str, Any]:
    return {
        "as_of": str(outcome.as_of),
        "tickers": summary.tickers,
        "forecasts": summary.forecasts,
        "by_lstm": summary.lstm,
        "stale": summary.stale,
        "withheld": summary.withheld,
        "coverage_80": _known(summary.coverage_80),
        "crps_ratio": _known(summary.crps_ratio),
        "best_baseline_ratio": _known(summary.best_baseline_ratio),
        "health": None if outcome.record is None else outcome.record.health.status,
    }


def _known(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
